"""`s2s watch` on folders that change as those of a training do."""

import json
from contextlib import ExitStack

import pytest
import small

from seq2seq_cli.cli.commands import watch as command
from seq2seq_cli.cli.commands.watch import watch
from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.claim import create_folder
from seq2seq_cli.runs.manifest import HISTORY


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Return the folder of runs, in which a training takes a step each time `watch` sleeps."""
    with ExitStack() as held:
        folder = held.enter_context(create_folder(tmp_path, "a", small.TASK))
        folder.begin(small.CONFIG)
        folder.add_record(small.record(1))

        def write_part():
            with (folder.path / HISTORY).open("a") as file:
                file.write('{"epoch": 2')

        def write_rest():
            (folder.path / HISTORY).write_text("")
            folder.add_record(small.record(1))
            folder.add_record(small.record(2))

        def end():
            small.complete(folder, small.a_checkpoint(120, 3))
            held.close()

        steps = iter([write_part, write_rest, end])
        monkeypatch.setattr(command.time, "sleep", lambda seconds: next(steps)())
        yield tmp_path


@pytest.mark.parametrize("name", ["a", None])
def test_each_validation_has_a_line_until_the_training_ends(training, capsys, name):
    watch(name, training)
    shown = capsys.readouterr()
    text = "640 sequences in 2.0 s, loss 1.5; validation: loss 1.25, exact match 50%"
    assert shown.out.splitlines() == [f"epoch {number}/3: {text}" for number in (1, 2, 3)]
    assert shown.err.splitlines() == [
        f"watching {training / 'a'}; Ctrl-C ends only this command",
        f"the training of {training / 'a'} has ended",
    ]


def test_a_stopped_training_is_said_to_be_resumable(tmp_path, monkeypatch, capsys):
    with ExitStack() as held:
        folder = held.enter_context(create_folder(tmp_path, "a", small.TASK))
        folder.begin(small.CONFIG)
        folder.save_checkpoint(small.a_checkpoint(40, 1))
        monkeypatch.setattr(command.time, "sleep", lambda seconds: held.close())
        watch(None, tmp_path)
    end = capsys.readouterr().err.splitlines()[-1]
    assert end == f"stopped; resume with: s2s train --resume --run a --runs-dir {tmp_path}"


def test_json_has_the_records(training, capsys):
    watch("a", training, as_json=True)
    shown = capsys.readouterr()
    assert [json.loads(line)["epoch"] for line in shown.out.splitlines()] == [1, 2, 3]
    assert shown.err == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [(None, "no run in .* is in training"), ("a", "the run .*a is not in training"),
     ("b", "there is no run")],
)  # fmt: skip
def test_nothing_to_watch_is_said(tmp_path, name, message):
    small.train(tmp_path)
    small.stop_further(tmp_path, 90)
    with pytest.raises(ModelError, match=message):
        watch(name, tmp_path)
