"""A complete run is verified by its manifest, and any damage of it is reported."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import CONFIG, ENVIRONMENT, NOON, RESULTS, edit_manifest, flip, train

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.errors import ModelError, S2sError
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.manifest import (
    CONFIG_FILE,
    MANIFEST,
    RECORDED,
    TRAIN_MODEL,
    Manifest,
    read_manifest,
)
from seq2seq_cli.runs.names import replaced_path


def test_manifest_round_trip(tmp_path):
    folder = train(tmp_path)
    run = open_run(tmp_path, "a")
    assert (run.name, run.path, run.config) == ("a", folder, CONFIG)
    manifest = run.manifest
    assert manifest.format_version == Manifest.VERSION
    assert (manifest.results, manifest.versions) == (RESULTS, ENVIRONMENT.versions)
    assert (manifest.seconds, manifest.threads, manifest.completed_at) == (12.5, 2, NOON)
    assert set(manifest.files) == set(RECORDED)
    for file in RECORDED:
        assert run.read(file) == (folder / file).read_bytes()


@pytest.mark.parametrize("loss", [0.1 + 0.2, 1e-300, float("inf")])
def test_losses_are_read_back_as_they_were(tmp_path, loss):
    results = RESULTS.model_copy(update={"loss": loss})
    train(tmp_path, results=results)
    assert open_run(tmp_path, "a").manifest.results == results


def test_run_may_be_moved(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    train(tmp_path / "runs").rename(tmp_path / "elsewhere" / "b")
    assert open_run(tmp_path / "elsewhere", "b").config == CONFIG


@pytest.mark.parametrize("file", RECORDED)
def test_any_change_of_a_recorded_file_is_found(tmp_path, file):
    folder = train(tmp_path)
    path, content = folder / file, (folder / file).read_bytes()
    for position in (0, 40, -1):
        flip(path, position)
        with pytest.raises(ModelError, match="SHA-256") as caught:
            open_run(tmp_path, "a").read(file)
        assert str(path) in str(caught.value)
        flip(path, position)
    for changed in (content[:-1], content + b"x", b""):
        path.write_bytes(changed)
        with pytest.raises(ModelError, match=f"{len(content)} bytes") as caught:
            open_run(tmp_path, "a").read(file)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(ModelError, match="is missing") as caught:
        open_run(tmp_path, "a").read(file)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", ["notes.txt", MANIFEST, "../b/config.toml"])
def test_file_that_is_not_recorded_is_not_read(tmp_path, file):
    folder = train(tmp_path)
    train(tmp_path, "b")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="not recorded"):
        open_run(tmp_path, "a").read(file)


def test_configuration_that_is_not_recorded_is_not_trusted(tmp_path):
    folder = train(tmp_path)
    edit_manifest(folder, lambda manifest: manifest["files"].pop(CONFIG_FILE))
    with pytest.raises(ModelError, match=r"config\.toml is not recorded"):
        open_run(tmp_path, "a")


@pytest.mark.parametrize("version", [Manifest.VERSION - 1, Manifest.VERSION + 1])
def test_another_format_version_is_named_whatever_else_changed(tmp_path, version):
    folder = train(tmp_path)
    edit_manifest(folder, lambda manifest: manifest.update(format_version=version))
    with pytest.raises(ModelError, match=f"format version {version}.*{Manifest.VERSION}"):
        open_run(tmp_path, "a")
    (folder / MANIFEST).write_text(f'{{"format_version": {version}, "new": {{}}}}')
    with pytest.raises(ModelError, match=f"format version {version}"):
        open_run(tmp_path, "a")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"format_version": "1"}', "\0", '{"format_version": 3}'],
)
def test_corrupt_manifest_is_named(tmp_path, text):
    folder = train(tmp_path)
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="is corrupt") as caught:
        read_manifest(folder)
    assert str(folder / MANIFEST) in str(caught.value)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=40), st.integers(0, 2000))
def test_any_damage_of_a_manifest_is_reported_as_such(tmp_path, damage, position):
    folder = tmp_path / "a"
    if not folder.exists():
        train(tmp_path)
    content = (folder / MANIFEST).read_bytes()
    position %= len(content)
    changed = content[:position] + damage + content[position + len(damage) :]
    (folder / MANIFEST).write_bytes(changed)
    try:
        open_run(tmp_path, "a").read(TRAIN_MODEL)
    except S2sError as error:
        assert str(folder) in str(error)  # noqa: PT017 - the damage may also be harmless
    (folder / MANIFEST).write_bytes(content)


def test_a_run_that_is_replaced_while_it_is_read_is_not_called_corrupt(tmp_path):
    train(tmp_path)
    run = open_run(tmp_path, "a")
    other = CONFIG.model_copy(update={"training": TrainingConfig(seed=9, epochs=2)})
    train(tmp_path, force=True, config=other)
    with pytest.raises(ModelError, match="a has been replaced by another run: try again"):
        run.read(CONFIG_FILE)
    run.path.rename(replaced_path(run.path))
    with pytest.raises(ModelError, match="try again"):
        run.read(CONFIG_FILE)


@pytest.mark.parametrize("file", [MANIFEST, CONFIG_FILE, TRAIN_MODEL])
def test_only_regular_files_are_read_and_no_more_of_them_than_expected(tmp_path, file):
    folder = train(tmp_path)
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(S2sError, match=file):
        open_run(tmp_path, "a").read(TRAIN_MODEL)
    (folder / file).unlink()
    with (folder / file).open("wb") as large:
        large.truncate(2**40)
    with pytest.raises(ModelError, match=file):
        open_run(tmp_path, "a").read(TRAIN_MODEL)
