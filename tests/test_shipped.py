"""The configurations that travel with the package, and what is said of every setting."""

import json
import os
import re
import tarfile
import zipfile
from pathlib import Path

import hatchling.build
import pytest

from seq2seq_cli.cli.commands.init import init
from seq2seq_cli.cli.commands.sweep import sweep
from seq2seq_cli.cli.commands.train import train
from seq2seq_cli.cli.options import resolve_config
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError, StorageError
from seq2seq_cli.settings import SECTIONS, parse_config, resolve
from seq2seq_cli.shipped import (
    commented,
    schema,
    schema_text,
    shipped_file,
    shipped_folder,
    shipped_names,
    suggest,
)

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
SHIPPED = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "end_with_reader", lambda: None)


def test_wheel_and_sdist_hold_the_configurations_and_the_types_marker(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    wheel = zipfile.ZipFile(tmp_path / hatchling.build.build_wheel(str(tmp_path))).namelist()
    held = [name.removeprefix("seq2seq_cli/configs/") for name in wheel if "/configs/" in name]
    assert sorted(held) == SHIPPED
    assert "seq2seq_cli/py.typed" in wheel
    with tarfile.open(tmp_path / hatchling.build.build_sdist(str(tmp_path))) as archive:
        sdist = archive.getnames()
    assert {name.split("/", 1)[1] for name in sdist if "/configs/" in name} == {
        f"configs/{name}" for name in SHIPPED
    }


def test_an_installed_package_has_them_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("seq2seq_cli.shipped.__file__", str(tmp_path / "seq2seq_cli/shipped.py"))
    packaged = tmp_path / "seq2seq_cli" / "configs"
    packaged.mkdir(parents=True)
    assert shipped_folder() == packaged
    packaged.rmdir()
    assert shipped_folder() == tmp_path / "configs"


def test_a_shipped_configuration_is_taken_by_its_name():
    assert resolve_config(Path("long"), None, {}) == resolve(ROOT / "configs" / "long.toml")


def test_a_sweep_takes_both_kinds_by_their_names(capsys):
    sweep(Path("lengths"), config_file=Path("default"), dry_run=True, as_json=True)
    document = json.loads(capsys.readouterr().out.splitlines()[0])
    assert document
    with pytest.raises(ConfigurationError, match="no sweep 'lenght' is shipped"):
        sweep(Path("lenght"), dry_run=True)
    with pytest.raises(ConfigurationError, match="no configuration 'lng' is shipped"):
        sweep(Path("lengths"), config_file=Path("lng"), dry_run=True)


def test_a_file_of_that_name_is_preferred():
    Path("long").write_text("[task]\nn_in = 9\n")
    assert resolve_config(Path("long"), None, {}).task.n_in == 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lnog", "no configuration 'lnog' is shipped with s2s; did you mean long?"),
        ("xyz", "use one of addition, associative-recall, attention"),
        ("configs/long.toml", "no file configs/long.toml; by its name, long, it is shipped"),
    ],
)
def test_a_name_of_neither_a_file_nor_a_shipped_one_is_refused(name, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        resolve_config(Path(name), None, {})
    with pytest.raises(StorageError, match=r"mine\.toml"):
        resolve_config(Path("mine.toml"), None, {})


def test_init_lists_each_with_the_sentence_it_opens_with(capsys):
    init(as_json=True)
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sweeps = [f"sweeps/{name}" for name in shipped_names("sweeps")]
    assert [item["name"] for item in listed] == [*shipped_names(), *sweeps]
    by_name = {item["name"]: item["summary"] for item in listed}
    assert by_name["sort"] == (
        "10 integers, sorted: 99.95% of 10,000 held-out sequences exact under the one seed that "
        "was tried, in 138 s on one core."
    )
    assert by_name["long"].startswith("400 integers -> the first 40, reversed")
    assert all(text.endswith(".") for text in by_name.values())
    init()
    shown = " ".join(capsys.readouterr().out.split())
    for name in (*shipped_names(), "all", *sweeps):
        assert f" {name} " in shown


def test_init_prints_a_file_to_start_from(capsys):
    for name in shipped_names():
        init(name)
        shown = capsys.readouterr().out
        assert shown == shipped_file(name).read_text()
    init("sweeps/lengths")
    assert capsys.readouterr().out == (CONFIGS / "sweeps" / "lengths.toml").read_text()
    with pytest.raises(ConfigurationError, match="did you mean long"):
        init("lonng")
    with pytest.raises(ConfigurationError, match="no sweep 'lenghts' is .* did you mean lengths"):
        init("sweeps/lenghts")
    with pytest.raises(ConfigurationError, match="remove --schema"):
        init("long", as_schema=True)


def test_all_is_every_setting_with_its_default_and_sets_nothing(capsys):
    init("all")
    text = capsys.readouterr().out
    assert text == commented()
    assert parse_config(text, "all") == RunConfig()
    assert not any(getattr(parse_config(text, "all"), name).model_fields_set for name in SECTIONS)
    changed = parse_config(re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE), "all")
    for name, section in SECTIONS.items():
        settings = getattr(changed, name)
        assert settings.model_fields_set == set(section.model_fields)
        for key, field in section.model_fields.items():
            value = getattr(settings, key)
            assert value == field.default or (field.default is None and value is not None)
            assert field.description.split()[0] in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_schema_that_the_files_name_is_that_of_the_declarations(capsys):
    init(as_schema=True)
    assert capsys.readouterr().out == schema_text()
    file = ROOT / "configs" / "s2s.schema.json"
    assert file.read_text() == schema_text(), f"write it: s2s init --schema > {file}"
    definitions = schema()["$defs"]
    for name, section in SECTIONS.items():
        declared = definitions[section.__name__]
        assert declared["additionalProperties"] is False, name
        assert declared["properties"].keys() == section.model_fields.keys()
        assert all("description" in setting for setting in declared["properties"].values())


def test_no_name_leads_out_of_the_shipped_folder():
    Path("s2s.toml").write_text("# Mine.\n")
    for name in (os.path.relpath("s2s", shipped_folder()), "../configs/long", ""):
        with pytest.raises(ConfigurationError, match="is shipped"):
            shipped_file(name)


@pytest.mark.parametrize(
    ("n_in", "model", "name"),
    [
        (6, {}, ""),
        (12, {}, ""),
        (24, {}, "attention"),
        (50, {"attention": "dot"}, ""),
        (25, {"attention": "dot", "attention_radius": 0}, ""),
        (50, {"attention": "dot", "attention_radius": 0}, "attention"),
        (51, {}, "long"),
        (401, {}, "thousand"),
        (30_000, {}, "ten-thousand"),
        ("1-12", {}, ""),
        ("1-25", {}, "varying"),
    ],
)
def test_a_configuration_is_suggested_for_sources_that_are_too_long(n_in, model, name):
    config = RunConfig(task=TaskConfig(n_in=n_in), model=ModelConfig(**model))
    assert suggest(config) == name
    if name:
        assert suggest(parse_config(shipped_file(name).read_text(), name)) == ""


def test_nothing_is_suggested_for_other_tasks_and_custom_data():
    assert suggest(RunConfig(task=TaskConfig(name="sort", n_in=200))) == ""
    assert suggest(RunConfig(task=TaskConfig(data="a.csv", n_in="1-400"))) == ""


def test_train_names_the_suggested_configuration(monkeypatch, capsys):
    def stop(*_, **__):
        raise ConfigurationError("enough")

    monkeypatch.setattr("seq2seq_cli.training.session.train", stop)
    for n_in, is_noted in ((400, True), (6, False)):
        with pytest.raises(ConfigurationError, match="enough"):
            train(n_in=n_in, n_out=3)
        assert ("`--config long`" in capsys.readouterr().err) is is_noted
