import fcntl
import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError, S2sError
from seq2seq_cli.folders import check_name, create_folder, default_name
from seq2seq_cli.manifest import (
    CONFIG,
    FORMAT_VERSION,
    HISTORY,
    MANIFEST,
    RECORDED,
    TRAIN_MODEL,
    Circumstances,
    Results,
    write_manifest,
)
from seq2seq_cli.runs import list_runs, open_run

TASK = TaskConfig()
CONFIGURATION = RunConfig(task=TASK)
RESULTS = Results(
    exact_match=0.5,
    exact_match_low=0.4,
    exact_match_high=0.6,
    token_accuracy=0.75,
    loss=1.25,
    n_samples=100,
)
VERSIONS = {"keras": "3.15.1", "numpy": "2.0.0"}
NOON = "2026-01-02T12:00:00Z"

HOLD_AND_WAIT = """
import sys
from pathlib import Path
from seq2seq_cli.config import TaskConfig
from seq2seq_cli.manifest import CONFIG
from seq2seq_cli.folders import create_folder

with create_folder(Path(sys.argv[1]), "a", TaskConfig()) as folder:
    (folder / CONFIG).write_text("")
    print("held", flush=True)
    sys.stdin.read()
"""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_files(folder, config=CONFIGURATION):
    for name in RECORDED:
        (folder / name).write_bytes(f"content of {name}".encode() * 10)
    (folder / CONFIG).write_text(config.to_toml(), encoding="utf-8")


def complete(folder, results=RESULTS, now=NOON):
    return write_manifest(
        folder, results, Circumstances(versions=VERSIONS, threads=2, flags={}), 12.5, now
    )


def train(runs_dir, name="a", now=NOON, force=False):
    with create_folder(runs_dir, name, TASK, force) as folder:
        write_files(folder)
        complete(folder, now=now)
    return folder


def fail_training(runs_dir, error, foreign=False, force=False):
    with create_folder(runs_dir, "a", TASK, force) as folder:
        write_files(folder)
        if foreign:
            (folder / "notes.txt").write_text("mine")
        raise error


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def edit_manifest(folder, change):
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@contextmanager
def locked(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
def runs_dir(tmp_path):
    return tmp_path / "some" / "runs"


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (TaskConfig(), "reverse-prefix-6-3-51"),
        (TaskConfig(n_in=9, n_out=2, cardinality=11), "reverse-prefix-9-2-11"),
        (TaskConfig(name="sort", n_in=9, n_out=2, cardinality=11), "sort-9-11"),
    ],
)
def test_default_name_tells_the_task(task, name):
    assert default_name(task) == name


@pytest.mark.parametrize("name", ["a", "Run_1", "v1.2+3", "2026-01-02", "größe"])
def test_plain_names_are_accepted(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "/tmp", "a b", "a\n", "*"])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigurationError, match=r"run name"):
        check_name(name)


@pytest.mark.parametrize("name", ["../a", ".", "a/b"])
def test_no_folder_is_created_or_opened_outside_the_runs_folder(runs_dir, name):
    with pytest.raises(ConfigurationError), create_folder(runs_dir, name, TASK):
        pass
    with pytest.raises(ConfigurationError):
        open_run(runs_dir, name)
    assert not runs_dir.exists()


def test_folder_is_created_empty_under_its_name(runs_dir):
    with create_folder(runs_dir, "mine", TASK) as folder:
        assert folder == runs_dir / "mine"
        assert contents(folder) == {}
    assert folder.is_dir()


def test_folders_without_a_name_are_numbered(runs_dir):
    names = []
    for _ in range(3):
        with create_folder(runs_dir, None, TASK) as folder:
            names.append(folder.name)
    base = default_name(TASK)
    assert names == [base, f"{base}-2", f"{base}-3"]


def test_named_folder_that_exists_is_refused_and_untouched(runs_dir):
    before = contents(train(runs_dir))
    with pytest.raises(ExistsError, match=r"a exists.*--force"), create_folder(runs_dir, "a", TASK):
        pass
    assert contents(runs_dir / "a") == before


def test_force_removes_the_files_of_the_earlier_run(runs_dir):
    folder = train(runs_dir)
    (folder / "notes.txt").write_text("mine")
    with create_folder(runs_dir, "a", TASK, force=True) as again:
        assert again == folder
        assert contents(folder) == {"notes.txt": b"mine"}


def test_force_without_a_name_replaces_the_default_run(runs_dir):
    folder = train(runs_dir, default_name(TASK))
    with create_folder(runs_dir, None, TASK, force=True) as again:
        assert again == folder


def test_force_creates_a_folder_that_is_not_there(runs_dir):
    with create_folder(runs_dir, "a", TASK, force=True) as folder:
        assert folder.is_dir()


@pytest.mark.parametrize("name", ["a", None])
def test_force_refuses_a_folder_that_is_no_run(runs_dir, name):
    folder = runs_dir / (name or default_name(TASK))
    folder.mkdir(parents=True)
    (folder / HISTORY).write_text("of something else")
    with (
        pytest.raises(ExistsError, match=r"is no run"),
        create_folder(runs_dir, name, TASK, force=True),
    ):
        pass
    assert contents(folder) == {HISTORY: b"of something else"}


@pytest.mark.parametrize("force", [False, True])
def test_file_in_place_of_the_folder_is_refused(runs_dir, force):
    runs_dir.mkdir(parents=True)
    (runs_dir / "a").write_text("a file")
    with pytest.raises(ExistsError), create_folder(runs_dir, "a", TASK, force):
        pass
    assert (runs_dir / "a").read_text() == "a file"


def test_folder_in_training_is_locked_and_untouched_by_force(runs_dir):
    with create_folder(runs_dir, "a", TASK) as folder:
        write_files(folder)
        before = contents(folder)
        with (
            pytest.raises(ExistsError, match=r"in use"),
            create_folder(runs_dir, "a", TASK, force=True),
        ):
            pass
        with pytest.raises(BlockingIOError), locked(folder):
            pass
        assert contents(folder) == before


@pytest.mark.parametrize("error", [None, RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_lock_ends_with_the_block(runs_dir, error):
    if error:
        with pytest.raises(type(error)):
            fail_training(runs_dir, error, foreign=True)
    else:
        train(runs_dir)
    with locked(runs_dir / "a"):
        pass


def test_lock_of_another_process_holds_until_it_is_killed(runs_dir):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, str(runs_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            with (
                pytest.raises(ExistsError, match=r"in use: another process"),
                create_folder(runs_dir, "a", TASK, force=True),
            ):
                pass
            assert [listed.problem for listed in list_runs(runs_dir)] == ["in training"]
        finally:
            process.kill()
    assert [listed.problem for listed in list_runs(runs_dir)] == ["incomplete"]
    assert train(runs_dir, force=True) == runs_dir / "a"
    assert open_run(runs_dir, "a").manifest.results == RESULTS


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_failed_training_leaves_no_folder(runs_dir, error):
    with pytest.raises(type(error), match=str(error)):
        fail_training(runs_dir, error)
    assert list(runs_dir.iterdir()) == []


def test_failed_training_leaves_the_files_of_others(runs_dir):
    with pytest.raises(RuntimeError, match="broken"):
        fail_training(runs_dir, RuntimeError("broken"), foreign=True)
    assert contents(runs_dir / "a") == {"notes.txt": b"mine"}


def test_failed_training_in_place_of_a_run_leaves_no_half_of_either(runs_dir):
    train(runs_dir)
    with pytest.raises(RuntimeError, match="broken"):
        fail_training(runs_dir, RuntimeError("broken"), force=True)
    assert list(runs_dir.iterdir()) == []


def test_manifest_round_trip(runs_dir):
    with create_folder(runs_dir, "a", TASK) as folder:
        write_files(folder)
        written = complete(folder)
    run = open_run(runs_dir, "a")
    assert run.manifest == written
    assert (run.name, run.path, run.config) == ("a", folder, CONFIGURATION)
    assert written.format_version == FORMAT_VERSION
    assert (written.results, written.versions) == (RESULTS, VERSIONS)
    assert (written.seconds, written.threads, written.completed_at) == (12.5, 2, NOON)
    assert set(written.files) == set(RECORDED)


@pytest.mark.parametrize("loss", [0.1 + 0.2, 1e-300, float("inf")])
def test_losses_are_read_back_as_they_were(runs_dir, loss):
    results = RESULTS.model_copy(update={"loss": loss})
    with create_folder(runs_dir, "a", TASK) as folder:
        write_files(folder)
        complete(folder, results)
    assert open_run(runs_dir, "a").manifest.results == results


def test_run_may_be_moved(runs_dir, tmp_path):
    train(runs_dir).rename(tmp_path / "elsewhere")
    assert open_run(tmp_path, "elsewhere").config == CONFIGURATION


def test_manifest_needs_every_file(runs_dir):
    with create_folder(runs_dir, "a", TASK) as folder:
        write_files(folder)
        (folder / TRAIN_MODEL).unlink()
        with pytest.raises(FileNotFoundError, match=r"train\.keras"):
            complete(folder)
        assert not (folder / MANIFEST).exists()


@pytest.mark.parametrize("file", RECORDED)
def test_recorded_files_are_read_whole(runs_dir, file):
    folder = train(runs_dir)
    assert open_run(runs_dir, "a").read(file) == (folder / file).read_bytes()


@pytest.mark.parametrize("file", RECORDED)
@pytest.mark.parametrize("position", [0, 40, -1])
def test_single_flipped_bit_is_found(runs_dir, file, position):
    folder = train(runs_dir)
    flip(folder / file, position)
    with pytest.raises(ModelError) as caught:
        open_run(runs_dir, "a").read(file)
    assert str(folder / file) in str(caught.value)
    assert "SHA-256" in str(caught.value)


@pytest.mark.parametrize("file", RECORDED)
@pytest.mark.parametrize("change", [b"", b"x"])
def test_wrong_size_is_found(runs_dir, file, change):
    folder = train(runs_dir)
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content + change if change else content[:-1])
    with pytest.raises(ModelError) as caught:
        open_run(runs_dir, "a").read(file)
    assert str(folder / file) in str(caught.value)
    assert f"{len(content)} bytes" in str(caught.value)


@pytest.mark.parametrize("file", RECORDED)
def test_missing_file_is_named(runs_dir, file):
    folder = train(runs_dir)
    (folder / file).unlink()
    with pytest.raises(ModelError) as caught:
        open_run(runs_dir, "a").read(file)
    assert f"{folder / file} is missing" in str(caught.value)


@pytest.mark.parametrize("file", ["notes.txt", MANIFEST, "../b/config.toml"])
def test_file_that_is_not_recorded_is_not_read(runs_dir, file):
    folder = train(runs_dir)
    train(runs_dir, "b")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="not recorded"):
        open_run(runs_dir, "a").read(file)


def test_configuration_that_is_not_recorded_is_not_trusted(runs_dir):
    folder = train(runs_dir)
    edit_manifest(folder, lambda manifest: manifest["files"].pop(CONFIG))
    with pytest.raises(ModelError, match=r"config\.toml is not recorded"):
        open_run(runs_dir, "a")


def test_newer_format_is_told_from_damage(runs_dir):
    folder = train(runs_dir)
    edit_manifest(folder, lambda manifest: manifest.update(format_version=FORMAT_VERSION + 1))
    with pytest.raises(ModelError, match=rf"format version {FORMAT_VERSION + 1}.*{FORMAT_VERSION}"):
        open_run(runs_dir, "a")


def test_newer_format_is_told_though_its_manifest_has_another_shape(runs_dir):
    folder = train(runs_dir)
    (folder / MANIFEST).write_text(json.dumps({"format_version": FORMAT_VERSION + 1, "new": {}}))
    with pytest.raises(ModelError, match=f"format version {FORMAT_VERSION + 1}"):
        open_run(runs_dir, "a")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"format_version": "1"}', "\0", '{"format_version": 1}'],
)
def test_corrupt_manifest_is_named(runs_dir, text):
    folder = train(runs_dir)
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="is corrupt") as caught:
        open_run(runs_dir, "a")
    assert str(folder / MANIFEST) in str(caught.value)


def test_manifest_that_is_not_utf8_is_corrupt(runs_dir):
    folder = train(runs_dir)
    (folder / MANIFEST).write_bytes(b"\xff" + (folder / MANIFEST).read_bytes()[1:])
    with pytest.raises(ModelError, match=r"run\.json"):
        open_run(runs_dir, "a")


@settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=40), st.integers(0, 2000))
def test_any_damage_of_a_manifest_is_reported_as_such(tmp_path, damage, position):
    folder = tmp_path / "a"
    folder.mkdir(exist_ok=True)
    write_files(folder)
    complete(folder)
    content = (folder / MANIFEST).read_bytes()
    position %= len(content)
    (folder / MANIFEST).write_bytes(content[:position] + damage + content[position + len(damage) :])
    try:
        open_run(tmp_path, "a").read(TRAIN_MODEL)
    except S2sError as error:
        assert str(folder) in str(error)  # noqa: PT017 - the damage may also be harmless


@pytest.mark.parametrize(
    ("text", "named"), [('[task]\nname = "newer"\n', "newer"), ("[other]\nx = 1\n", "other")]
)
def test_configuration_of_another_version_is_told(runs_dir, text, named):
    with create_folder(runs_dir, "a", TASK) as folder:
        write_files(folder)
        (folder / CONFIG).write_text(text)
        complete(folder)
    with pytest.raises(ModelError, match=named):
        open_run(runs_dir, "a")


def test_newest_completed_run_is_opened_without_a_name(runs_dir):
    train(runs_dir, "b", "2026-01-02T12:00:00Z")
    train(runs_dir, "a", "2026-01-02T12:00:01Z")
    train(runs_dir, "c", "2025-12-31T23:59:59Z")
    assert open_run(runs_dir).name == "a"


def test_newest_run_is_not_a_damaged_or_incomplete_one(runs_dir):
    train(runs_dir, "good", "2026-01-01T00:00:00Z")
    flip(train(runs_dir, "damaged", "2026-01-02T00:00:00Z") / CONFIG, 5)
    (train(runs_dir, "incomplete", "2026-01-03T00:00:00Z") / MANIFEST).unlink()
    assert open_run(runs_dir).name == "good"


def test_no_run_is_told_how_to_get_one(runs_dir):
    with pytest.raises(ModelError, match="s2s train"):
        open_run(runs_dir)
    (train(runs_dir) / MANIFEST).unlink()
    with pytest.raises(ModelError, match="s2s train"):
        open_run(runs_dir)


def test_unknown_run_is_named(runs_dir):
    train(runs_dir)
    with pytest.raises(ModelError, match=r"no run .*other"):
        open_run(runs_dir, "other")


def test_incomplete_run_is_not_opened(runs_dir):
    (train(runs_dir) / MANIFEST).unlink()
    with pytest.raises(ModelError, match="is incomplete"):
        open_run(runs_dir, "a")


def test_run_in_training_is_not_opened(runs_dir):
    with create_folder(runs_dir, "a", TASK) as folder:
        write_files(folder)
        with pytest.raises(ModelError, match="still in training"):
            open_run(runs_dir, "a")


def test_listing_has_completed_runs_by_age_then_the_others(runs_dir):
    train(runs_dir, "new", "2026-01-02T12:00:00Z")
    train(runs_dir, "old", "2026-01-01T12:00:00Z")
    flip(train(runs_dir, "damaged") / CONFIG, 5)
    (train(runs_dir, "incomplete") / MANIFEST).unlink()
    (runs_dir / "no-run").mkdir()
    (runs_dir / "note.txt").write_text("mine")
    with create_folder(runs_dir, "training", TASK) as folder:
        write_files(folder)
        listed = {item.name: item for item in list_runs(runs_dir)}
    assert list(listed)[:2] == ["old", "new"]
    assert set(listed) == {"old", "new", "damaged", "incomplete", "training"}
    assert all(listed[name].problem == "" for name in ("old", "new"))
    assert listed["old"].run.manifest.completed_at == "2026-01-01T12:00:00Z"
    assert [listed[name].run for name in ("damaged", "incomplete", "training")] == [None] * 3
    assert listed["incomplete"].problem == "incomplete"
    assert listed["training"].problem == "in training"
    assert listed["damaged"].problem.startswith("damaged: ")
    assert str(runs_dir / "damaged" / CONFIG) in listed["damaged"].problem


def test_listing_changes_no_file_and_leaves_no_lock(runs_dir):
    folder = train(runs_dir)
    (folder / MANIFEST).unlink()
    before = contents(folder)
    list_runs(runs_dir)
    assert contents(folder) == before
    with locked(folder):
        pass


def test_listing_of_a_folder_that_is_not_there_is_empty(runs_dir):
    assert list_runs(runs_dir) == []
    assert not runs_dir.exists()
