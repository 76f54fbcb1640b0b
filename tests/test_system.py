"""The product as its users meet it: commands in a folder, and what they leave there."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, run_s2s


def test_a_trained_model_is_accurate_and_says_so(trained):
    report = json.loads(run_s2s("evaluate", "--json", cwd=trained).stdout)
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


def test_evaluate_prints_the_tables(trained):
    shown = run_s2s("evaluate", "--examples", "3", "--n-samples", "500", cwd=trained)
    for words in ("exact match", "95% interval", "position 2", "sequences/s", "Spot checks"):
        assert words in shown.stdout
    assert "\x1b" not in shown.stdout + shown.stderr
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_evaluate_demands_an_accuracy(trained):
    low = run_s2s("evaluate", "--min-accuracy", "0.9", cwd=trained)
    assert low.returncode == 0
    data = trained / "wrong.csv"
    data.write_text("1 2 3 4,2 1\n1 2 3 4,1 1\n")
    high = run_s2s("evaluate", "--data", "wrong.csv", "--min-accuracy", "0.9", "--json",
                   cwd=trained, check=False)  # fmt: skip
    assert high.returncode == 7
    assert json.loads(high.stdout)["exact_match"] == 0.5
    assert "below --min-accuracy 0.9" in high.stderr


def test_predict_answers_with_plain_tokens_in_order(trained):
    shown = run_s2s("predict", "5 11 12 4", "1,2,3,4", "[7, 8, 9, 10]", cwd=trained)
    assert shown.stdout == "11 5\n2 1\n8 7\n"


def test_predict_reads_standard_input_and_files_alike(trained):
    lines = "".join(f"{a} {b} 3 4\n" for a in range(1, 13) for b in range(1, 13)) * 8
    expected = "".join(f"{b} {a}\n" for a in range(1, 13) for b in range(1, 13)) * 8
    (trained / "lines.txt").write_text(lines)
    assert run_s2s("predict", "-", cwd=trained, input=lines).stdout == expected
    assert run_s2s("predict", "--input", "lines.txt", cwd=trained).stdout == expected


def test_predict_as_json_gives_log_probabilities(trained):
    shown = run_s2s("predict", "--json", "5 11 12 4", cwd=trained).stdout
    line = json.loads(shown)
    assert line["source"] == [5, 11, 12, 4]
    assert line["target"] == [11, 5]
    assert -1 < line["log_probability"] < 0


def test_a_length_not_trained_on_is_predicted_with_a_note(trained):
    shown = run_s2s("predict", "5 11 12 4 6", cwd=trained)
    assert len(shown.stdout.split()) == 2
    assert "trained on sources of 4 integers, given 5" in shown.stderr


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".npz"])
def test_generated_pairs_can_be_evaluated(trained, suffix, tmp_path):
    file = tmp_path / f"pairs{suffix}"
    sizes = SMALL[:6]
    run_s2s("generate", *sizes, "--n-samples", "300", "--output", str(file), cwd=trained)
    report = json.loads(run_s2s("evaluate", "--data", str(file), "--json", cwd=trained).stdout)
    assert report["n_samples"] == 300
    assert report["exact_match"] >= 0.98
    again = run_s2s("generate", *sizes, "--output", str(file), cwd=trained, check=False)
    assert again.returncode == 5


def test_generate_prints_the_tutorials_shapes(s2s):
    shown = s2s("generate", "--n-samples", "4").stdout
    assert "(4, 6, 51) (4, 3, 51) (4, 3, 51)" in shown


def test_runs_lists_what_was_trained(trained):
    listed = [
        json.loads(line)
        for line in run_s2s("runs", "--json", cwd=trained).stdout.split("\n")
        if line
    ]
    assert [item["name"] for item in listed] == ["small"]
    assert listed[0]["config"]["task"]["cardinality"] == 13
    assert listed[0]["exact_match"] >= 0.99
    assert "small" in run_s2s("runs", cwd=trained).stdout


def test_tasks_are_listed_with_examples(s2s):
    shown = s2s("tasks").stdout
    assert "reverse-prefix" in shown
    assert "2 4 4 7 9" in shown


def test_the_run_folder_holds_what_is_documented(trained):
    folder = trained / "runs" / "small"
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint", "config.toml", "history.jsonl", "inference_decoder.keras",
        "inference_encoder.keras", "run.json", "train.keras",
    ]  # fmt: skip
    epoch = json.loads((folder / "history.jsonl").read_text())
    assert epoch["epoch"] == 1
    assert epoch["n_samples"] == 20_000


def test_an_existing_run_is_left_alone(trained):
    folder = trained / "runs" / "small"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    refused = run_s2s("train", *SMALL, "--run", "small", cwd=trained, check=False)
    assert refused.returncode == 5
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before


BAD = [
    ("train --n-in 6 --n-out 7", 2, "task.n_out = 7"),
    ("train --cardinality 1", 2, "task.cardinality = 1"),
    ("train --n-in 0", 2, "task.n_in = 0"),
    ("train --batch-size -4", 2, "training.batch_size = -4"),
    ("train --n-in six", 2, "'six': should be a valid integer"),
    ("train --task flip", 2, "task.name = 'flip'"),
    ("train --set model.unit=3", 2, "did you mean model.units"),
    ("train --set model", 2, "section.key=value"),
    ("train --config none.toml", 6, "none.toml"),
    ("train --run ../up", 2, "'../up'"),
    ("evaluate", 4, "train one with"),
    ("evaluate --run none", 4, "runs/none"),
    ("evaluate --n-samples 0", 2, "0: should be greater than or equal to 1"),
    ("evaluate --min-accuracy 2", 2, "2: should be less than or equal to 1"),
    ("predict 1", 4, "train one with"),
    ("predict", 2, "give sequences"),
    ("generate --n-samples 0", 2, "0: should be greater than or equal to 1"),
    ("generate --output pairs.txt", 3, "pairs.txt"),
    ("generate --output none/pairs.csv", 6, "none/pairs.csv"),
    ("generate --split mine", 2, "'mine'"),
    ("unknown", 2, "unknown"),
]


@pytest.mark.parametrize(("line", "code", "named"), BAD)
def test_bad_usage_gets_one_line_and_leaves_nothing(s2s, tmp_path, line, code, named):
    result = s2s(*line.split(), check=False)
    assert result.returncode == code
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


BAD_SEQUENCES = [
    ("0 1 2 3", 3, "0 is not a value"),
    ("1 2 3 13", 3, "13 is not a value"),
    ("-1 2", 3, "-1 is not a value"),
    ("1.5 2", 3, "'1.5' is not an integer"),
    ("one", 3, "'one' is not an integer"),
    (" ", 3, "empty"),
    ("99999999999999999999", 3, "99999999999999999999"),
]


@pytest.mark.parametrize(("sequence", "code", "named"), BAD_SEQUENCES)
def test_a_bad_sequence_gets_one_line(trained, sequence, code, named):
    result = run_s2s("predict", "--", sequence, cwd=trained, check=False)
    assert result.returncode == code
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr


def test_a_bad_line_of_a_file_is_named(trained):
    (trained / "bad.csv").write_text("source,target\n1 2 3 4,2 1\n1 2 x 4,2 1\n1 2 3 4\n")
    result = run_s2s("evaluate", "--data", "bad.csv", cwd=trained, check=False)
    assert result.returncode == 3
    assert "bad.csv, line 3: 'x'" in result.stderr
    assert "bad.csv, line 4: 1 columns" in result.stderr
    lines = run_s2s("predict", "-", input="1 2 3 4\n1 0\n", cwd=trained, check=False)
    assert lines.returncode == 3
    assert "line 2: 0" in lines.stderr


def copy_run(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "small"
    folder.mkdir(parents=True)
    for file in (trained / "runs" / "small").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


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
def test_a_damaged_run_is_refused(trained, tmp_path, file, damage):
    path = copy_run(trained, tmp_path) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[: len(content) // 2])
    for command in (["evaluate", "--run", "small"], ["predict", "--run", "small", "1 2 3 4"]):
        result = run_s2s(*command, cwd=tmp_path, check=False)
        assert result.returncode == 4
        assert len(result.stderr.splitlines()) == 1
    listed = json.loads(run_s2s("runs", "--json", cwd=tmp_path).stdout or "{}")
    # The list does not read the models, which may be large.
    assert listed["complete"] is file.endswith(".keras")


def test_a_full_disk_is_reported(s2s):
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no /dev/full")
    with device.open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "seq2seq_cli", "generate", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 6
    assert len(result.stderr.splitlines()) == 1


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    command = f"{sys.executable} -m seq2seq_cli generate --json --n-samples 100000 | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_a_terminal_sees_an_animated_progress(tmp_path):
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *SMALL],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "S2S_CACHE_DIR": ""},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert process.wait() == 0
    text = seen.decode()
    assert "compiling" in text
    assert "epoch 1/1" in text
    assert "exact" in text
    assert "oneDNN" not in text


PREDICT_HEAVY = """
import sys
from seq2seq_cli.cli.process import main
try:
    main()
except SystemExit as end:
    heavy = [name for name in ("tensorflow", "keras", "torch", "jax") if name in sys.modules]
    print(heavy, end.code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "line", ["evaluate --n-samples 100", "predict 1,2,3,4", "generate", "tasks", "runs", "--help",
             "train --help"]
)  # fmt: skip
def test_only_training_imports_tensorflow(trained, line):
    result = subprocess.run(
        [sys.executable, "-c", PREDICT_HEAVY, *line.split()],
        cwd=trained, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stderr.splitlines()[-1] == "[] 0"


def test_help_imports_neither_numpy_nor_pydantic(tmp_path):
    code = PREDICT_HEAVY.replace('"torch", "jax"', '"numpy", "pydantic", "h5py", "rich"')
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
    )
    assert result.stderr.splitlines()[-1] == "[] 0"


def test_one_seed_gives_one_model(tmp_path):
    sizes = [*SMALL, "--n-samples", "2000"]
    for run in ("a", "b"):
        run_s2s("train", *sizes, "--run", run, "--seed", "5", cwd=tmp_path)
    run_s2s("train", *sizes, "--run", "c", "--seed", "6", cwd=tmp_path)
    from seq2seq_cli import load_run

    a, b, c = (load_run(run, tmp_path / "runs") for run in "abc")
    np.testing.assert_array_equal(a.decoder.kernel, b.decoder.kernel)
    np.testing.assert_array_equal(
        a.encoder.layers[0].forward.kernel, b.encoder.layers[0].forward.kernel
    )
    assert not np.array_equal(a.decoder.kernel, c.decoder.kernel)
