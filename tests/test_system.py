"""The product as its users meet it: commands in a folder, and what they leave there."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL, run_s2s


@pytest.fixture
def here(s2s_here, trained, monkeypatch):
    """Return a function that runs the command in this process, with the trained run."""
    monkeypatch.setenv("S2S_RUNS_DIR", str(trained / "runs"))
    return lambda line, **options: s2s_here(*shlex.split(line), **options)


def test_a_trained_model_is_accurate_and_says_so(here):
    report = json.loads(here("evaluate --json").stdout)
    assert report["exact_match"] >= 0.99
    assert report["exact"]  # there are no others: the space is small
    assert report["exact_match_low"] == report["exact_match"] == report["exact_match_high"]
    assert report["token_accuracy"] >= report["exact_match"]
    assert len(report["position_accuracy"]) == 2
    assert report["origin"] == f"all {report['n_samples']} held-out sequences"
    assert len(report["examples"]) == 10
    assert report["loss"] < 0.1
    for example in report["examples"]:
        assert example["target"] == example["source"][:2][::-1]


def test_evaluate_prints_the_tables(here):
    shown = here("evaluate --examples 3 --n-samples 500")
    for words in ("exact match", "95% interval", "position 2", "sequences/s", "Spot checks"):
        assert words in shown.stdout
    assert "\x1b" not in shown.stdout + shown.stderr
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_evaluate_demands_an_accuracy(here):
    here("evaluate --min-accuracy 0.9")
    Path("wrong.csv").write_text("1 2 3 4,2 1\n1 2 3 4,1 1\n")
    low = here("evaluate --data wrong.csv --min-accuracy 0.9 --json", check=False)
    assert low.returncode == 7
    assert json.loads(low.stdout)["exact_match"] == 0.5
    assert "below --min-accuracy 0.9" in low.stderr


def test_predict_answers_with_plain_tokens_in_order(here):
    assert here("predict '5 11 12 4' 1,2,3,4 '[7, 8, 9, 10]'").stdout == "11 5\n2 1\n8 7\n"
    line = json.loads(here("predict --json '5 11 12 4'").stdout)
    assert (line["source"], line["target"]) == ([5, 11, 12, 4], [11, 5])
    assert -1 < line["log_probability"] < 0
    longer = here("predict '5 11 12 4 6'")
    assert len(longer.stdout.split()) == 2
    assert "trained on sources of 4 integers, given 5" in longer.stderr


def test_predict_reads_standard_input_and_files_equally(here, trained):
    lines = "".join(f"{a} {b} 3 4\n" for a in range(1, 13) for b in range(1, 13)) * 8
    expected = "".join(f"{b} {a}\n" for a in range(1, 13) for b in range(1, 13)) * 8
    Path("lines.txt").write_text(lines)
    assert run_s2s("predict", "-", cwd=trained, input=lines).stdout == expected
    assert here("predict --input lines.txt").stdout == expected


def test_generated_pairs_can_be_evaluated(here):
    line = f"generate {' '.join(SMALL[:6])} --n-samples 300 --output pairs.jsonl"
    here(line)
    report = json.loads(here("evaluate --data pairs.jsonl --json").stdout)
    assert report["n_samples"] == 300
    assert report["exact_match"] >= 0.98
    assert here(line, check=False).returncode == 5


def test_the_run_folder_holds_what_is_documented_and_is_left_alone(here, trained):
    folder = trained / "runs" / "small"
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint", "config.toml", "history.jsonl", "inference_decoder.keras",
        "inference_encoder.keras", "run.json", "train.keras",
    ]  # fmt: skip
    epoch = json.loads((folder / "history.jsonl").read_text())
    assert epoch["epoch"] == 1
    assert epoch["n_samples"] == 20_000
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert here(f"train {' '.join(SMALL)} --run small", check=False).returncode == 5
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


BAD = [
    ("train --n-in 6 --n-out 7", 2, "task.n_out = 7"),
    ("train --cardinality 1", 2, "task.cardinality = 1"),
    ("train --n-in 0", 2, "task.n_in = 0"),
    ("train --batch-size -4", 2, "training.batch_size = -4"),
    ("train --n-in six", 2, "'six': should be a valid integer"),
    ("train --units x", 2, "--units"),
    ("train --attention x", 2, "--attention"),
    ("train --seeds", 2, "--seeds"),
    ("train --checkpoint-seconds=nan", 2, "greater than or equal to 0"),
    ("train --checkpoint-seconds=-1", 2, "greater than or equal to 0"),
    ("train --task flip", 2, "task.name = 'flip'"),
    ("train --set model.unit=3", 2, "did you mean model.units"),
    ("train --set model", 2, "section.key=value"),
    ("train --config none.toml", 6, "none.toml"),
    ("train --run ../up", 2, "'../up'"),
    ("sweep --jobs 0", 2, "--jobs"),
    ("sweep --shard 5/2", 2, "--shard"),
    ("evaluate", 4, "train one with"),
    ("evaluate --run none", 4, "runs/none"),
    ("evaluate --n-samples 0", 2, "0: should be greater than or equal to 1"),
    ("evaluate --min-accuracy 2", 2, "2: should be less than or equal to 1"),
    ("evaluate --min-accuracy nan", 2, "--min-accuracy"),
    ("predict 1", 4, "train one with"),
    ("predict", 2, "give sequences"),
    ("predict --input none.txt 1", 2, "sequences and --input: use only one of the two"),
    ("predict - 1", 2, "-: standard input has all sequences: remove the others"),
    ("encode 1 -", 2, "-: standard input has all sequences: remove the others"),
    ("predict --beam -1 1", 2, "--beam"),
    ("generate --n-samples 0", 2, "0: should be greater than or equal to 1"),
    ("generate --output pairs.txt", 2, "pairs.txt"),
    ("generate --output none/pairs.csv", 6, "none/pairs.csv"),
    ("generate --split mine", 2, "'mine'"),
    ("runs --sort x", 2, "--sort"),
    ("plot", 2, "Missing argument 'WHAT'"),
    ("export .", 2, "Missing option '--format'"),
    ("unknown", 2, "unknown"),
]


@pytest.mark.parametrize(("line", "code", "named"), BAD)
def test_bad_usage_gets_one_line_and_leaves_nothing(s2s_here, tmp_path, line, code, named):
    result = s2s_here(*line.split(), check=False)
    assert result.returncode == code
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


BAD_SEQUENCES = [
    ("0 1 2 3", "0 is not a value"),
    ("1 2 3 13", "13 is not a value"),
    ("-1 2", "-1 is not a value"),
    ("1.5 2", "'1.5' is not an integer"),
    ("one", "'one' is not an integer"),
    (" ", "empty"),
    ("99999999999999999999", "99999999999999999999"),
]


@pytest.mark.parametrize(("sequence", "named"), BAD_SEQUENCES)
def test_a_bad_sequence_gets_one_line(here, sequence, named):
    result = here(f"predict -- '{sequence}'", check=False)
    assert result.returncode == 3
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr


def test_a_bad_line_of_a_file_is_named(here):
    Path("bad.csv").write_text("source,target\n1 2 3 4,2 1\n1 2 x 4,2 1\n1 2 3 4\n")
    result = here("evaluate --data bad.csv", check=False)
    assert result.returncode == 3
    assert "bad.csv, line 3: 'x'" in result.stderr
    assert "bad.csv, line 4: 1 columns" in result.stderr
    Path("lines.txt").write_text("1 2 3 4\n1 0\n")
    lines = here("predict --input lines.txt", check=False)
    assert lines.returncode == 3
    assert "line 2: 0" in lines.stderr


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("inference_encoder.keras", "flip"),
        ("inference_decoder.keras", "cut"),
        ("config.toml", "flip"),
        ("inference_encoder.keras", "remove"),
        ("run.json", "cut"),
        ("run.json", "remove"),
    ],
)
def test_a_damaged_run_is_refused(s2s_here, trained, file, damage):
    shutil.copytree(trained / "runs" / "small", "runs/small")
    path = Path("runs/small") / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[: len(content) // 2])
    for command in (["evaluate"], ["predict", "1 2 3 4"], ["inspect"]):
        result = s2s_here(*command, "--run", "small", check=False)
        assert result.returncode == 4
        assert len(result.stderr.splitlines()) == 1
    listed = json.loads(s2s_here("runs", "--json").stdout or "{}")
    # The list does not read the models, which may be large.
    assert listed["complete"] is file.endswith(".keras")


def test_a_reader_that_stops_early_is_not_an_error(tmp_path):
    command = f"{sys.executable} -m seq2seq_cli generate --json --n-samples 100000 | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


WITHOUT_TENSORFLOW = """
import sys
from seq2seq_cli.cli.process import run_command
for line in sys.argv[1:]:
    sys.argv = ["s2s", *line.split()]
    assert run_command() == ("", 0), line
    assert not {"tensorflow", "keras", "torch", "jax"} & set(sys.modules), line
"""


def test_only_training_imports_tensorflow(trained):
    lines = ["evaluate --n-samples 100", "predict 1,2,3,4", "generate", "tasks", "runs", "init",
             "inspect", "encode 1,2,3,4", "train --dry-run --config sort"]  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *lines],
        cwd=trained, env=os.environ, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
