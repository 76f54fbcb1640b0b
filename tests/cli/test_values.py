"""Values that no command can use are refused in one line, before anything is imported."""

import importlib.metadata
import json

import pytest
from random_run import save_random_run
from tiny import tiny_config

import seq2seq_cli
from seq2seq_cli import load_run
from seq2seq_cli.cli.app import COMMANDS, make_command
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.manifest import installed_versions


def lines(name, value):
    """Return a command line for each option, and each argument, with this value."""
    before = []
    for parameter in make_command(name).params:
        if getattr(parameter, "is_flag", False):
            continue
        values = [value] * max(1, parameter.nargs)
        if parameter.opts == [parameter.name]:
            yield [name, *before, *values], parameter.metavar
            before.append("before")
        else:
            yield [name, parameter.opts[0], *values], parameter.opts[0]


@pytest.mark.parametrize(("value", "problem"), [("", "is empty"), ("caf\udce9", "not UTF-8")])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_value_and_one_that_is_not_utf_8_are_refused(
    s2s_here, tmp_path, name, value, problem
):
    for line, named in lines(name, value):
        result = s2s_here(*line, check=False)
        assert result.returncode == 2, line
        assert len(result.stderr.splitlines()) == 1
        assert named in result.stderr
        assert problem in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_setting_without_a_value_is_refused(s2s_here):
    for line in ("train --set task.data=", "sweep --grid model.units="):
        result = s2s_here(*line.split(), check=False)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert f"{line.split()[2]}': the value is empty" in result.stderr


def test_a_number_is_written_the_same_way_in_an_option_and_a_setting(s2s_here):
    line = ["train", "--dry-run", "--json", "--learning-rate", ".001", "--units", "016"]
    settings = ["--set", "training.learning_rate=.001", "--set", "model.units=016"]
    as_options, as_settings = s2s_here(*line), s2s_here(*line[:3], *settings)
    assert as_options.stdout == as_settings.stdout
    assert json.loads(as_options.stdout)["config"]["training"]["learning_rate"] == 0.001


def test_every_option_of_train_that_is_named_after_a_setting_sets_it(s2s_here):
    line = "train --dry-run --json --dropout 0.1 --bidirectional --patience 3 --stop-at 0.999"
    config = json.loads(s2s_here(*line.split(), "--epochs", "5").stdout)["config"]
    assert (config["model"]["dropout"], config["model"]["bidirectional"]) == (0.1, True)
    assert (config["training"]["patience"], config["training"]["stop_at"]) == (3, 0.999)
    result = s2s_here(*line.split(), "--dropout", "1", check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "model.dropout = 1.0" in result.stderr


def test_a_flag_that_is_absent_keeps_the_value_of_the_file(s2s_here):
    line = "train --dry-run --json --set model.bidirectional=true"
    assert json.loads(s2s_here(*line.split()).stdout)["config"]["model"]["bidirectional"]


def test_a_byte_order_mark_is_skipped(s2s_here, tmp_path):
    (tmp_path / "marked.toml").write_text("[task]\nn_in = 5\n", encoding="utf-8-sig")
    shown = s2s_here("train", "--dry-run", "--json", "--config", "marked.toml").stdout
    assert json.loads(shown)["config"]["task"]["n_in"] == 5


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize(
    "line",
    ["generate --output x.txt", "encode 1,2,3,4 --output x.txt", "plot loss --output x.txt",
     "train --data x.txt", "report --output x.txt"],
)  # fmt: skip
def test_a_wrong_suffix_has_one_exit_code(s2s_here, line):
    result = s2s_here(*line.split(), check=False)
    assert result.returncode == 2
    assert "x.txt: the name should end in ." in result.stderr


def test_sweeps_are_found_by_the_names_that_init_lists(s2s_here):
    names = [json.loads(line)["name"] for line in s2s_here("init", "--json").stdout.splitlines()]
    (name, *_) = (name for name in names if name.startswith("sweeps/"))
    assert s2s_here("init", name).stdout
    assert s2s_here("sweep", name, "--dry-run").stdout
    assert s2s_here("init", "lengths").stdout == s2s_here("init", "sweeps/lengths").stdout
    assert s2s_here("init", "attention").stdout != s2s_here("init", "sweeps/attention").stdout


def test_a_package_that_is_not_installed_has_its_version(monkeypatch):
    def version(name, installed=importlib.metadata.version):
        if name == "seq2seq-cli":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert installed_versions()["seq2seq-cli"] == seq2seq_cli.__version__


def test_a_variable_that_is_not_utf_8_is_refused(s2s_here, monkeypatch):
    monkeypatch.setenv("S2S_RUNS_DIR", "caf\udce9")
    result = s2s_here("runs", check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "--runs-dir 'caf\\udce9': it is not UTF-8" in result.stderr


def test_an_empty_name_is_not_the_newest_run(random_runs):
    with pytest.raises(ConfigurationError, match="run name ''"):
        load_run("", random_runs)


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize("command", ["runs", "report"])
def test_a_run_is_not_compared_with_itself(s2s_here, command):
    result = s2s_here(command, "--compare", "complete", "complete", check=False)
    assert result.returncode == 2
    assert "at least two different runs" in result.stderr


@pytest.mark.parametrize("name", ["runs/complete", "runs/complete/", "../x/complete", "{}"])
def test_a_path_is_not_the_name_of_a_run(s2s_here, random_runs, name):
    name = name.format(random_runs / "complete")
    for command in ("evaluate", "train"):
        result = s2s_here(command, "--run", name, check=False)
        assert result.returncode == 2
        assert f"run name '{name}': give the name alone, 'complete'" in result.stderr


def test_the_name_of_a_sweeps_run_is_advised_with_its_sweep(s2s_here, random_runs):
    for name in ("runs/a-sweep/cell-seed-0", "./runs/a-sweep/cell-seed-0/"):
        result = s2s_here("evaluate", "--run", name, check=False)
        assert result.returncode == 2
        assert "give the name alone, 'a-sweep/cell-seed-0'," in result.stderr
    name = str(random_runs / "a-sweep" / "cell-seed-0")
    result = s2s_here("runs", "rm", name, "--yes", "--runs-dir", str(random_runs), check=False)
    assert "give the name alone, 'a-sweep/cell-seed-0'," in result.stderr


@pytest.mark.usefixtures("random_runs")
def test_the_home_folder_is_found_in_each_option_of_a_path(s2s_here, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    s2s_here("generate", "--n-in", "4", "--n-out", "2", "--output=~/pairs.jsonl")
    s2s_here("encode", "1 2 3 4", "--output=~/states.npz")
    (tmp_path / "home" / "s.txt").write_text("1 2 3 4\n")
    assert s2s_here("predict", "--input=~/s.txt").stdout == s2s_here("predict", "1 2 3 4").stdout
    line = ["train", "--dry-run", "--json", "--n-samples", "20"]
    config = json.loads(s2s_here(*line, "--data=~/pairs.jsonl", check=False).stdout or "{}")
    assert config["config"]["task"]["data"] == str(tmp_path / "home" / "pairs.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "runs"}
    assert "a~/s.txt: No such" in s2s_here("predict", "--input=a~/s.txt", check=False).stderr
    assert "'~'" in s2s_here("evaluate", "--run", "~/runs/complete", check=False).stderr


@pytest.mark.usefixtures("random_runs")
def test_the_home_folder_is_found_in_quotes(s2s_here, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shown = s2s_here("inspect", "--runs-dir", "~/runs", "--json").stdout
    monkeypatch.setenv("S2S_RUNS_DIR", "~/runs")
    assert s2s_here("inspect", "--json").stdout == shown
    assert "~nobody-here/runs" in s2s_here("runs", "--runs-dir", "~nobody-here/runs").stderr
    result = s2s_here("evaluate", "--data", f"{tmp_path}/s.txt,~/t.txt", check=False)
    assert f"cannot read {tmp_path}/" in result.stderr
    (tmp_path / "s.txt").write_text("1 2 3 4\n")
    result = s2s_here("evaluate", "--data", "~/s.txt,~/t.txt", check=False)
    assert f"cannot read {tmp_path}/t.txt" in result.stderr
    result = s2s_here("report", "--task", "~/my.py:f", "--task", "~/t.py:g", check=False)
    assert f"--task {tmp_path}/my.py:f: use the run's task" in result.stderr


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize("command", ["evaluate --n-samples 20", "inspect"])
def test_a_run_may_be_an_argument(s2s_here, command):
    words = [*command.split(), "--json"]
    by_option = json.loads(s2s_here(*words, "--run", "complete").stdout)
    for line in (["complete"], ["complete", "--run", "complete"]):
        by_argument = json.loads(s2s_here(*words, *line).stdout)
        assert by_argument.get("run", by_argument.get("name")) == "complete"
        assert by_argument.keys() == by_option.keys()
    result = s2s_here(*words, "other", "--run", "complete", check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"] == "other and --run complete: name the run only once"
    assert s2s_here(*words, "other", check=False).returncode == 4
    assert "None" not in s2s_here(*words[:-1], "complete").stdout


def test_what_happens_to_runs_may_be_a_word(s2s_here, random_runs):
    save_random_run(random_runs, "other", tiny_config(seed=3))
    words = ("complete", "other", "--json")
    compared = s2s_here("runs", "compare", *words).stdout
    assert compared == s2s_here("runs", "--compare", *words).stdout
    assert [run["name"] for run in json.loads(compared)["runs"]] == ["complete", "other"]
    s2s_here("runs", "mv", "other", "renamed")
    save_random_run(random_runs, "third", tiny_config())
    s2s_here("runs", "rm", "complete", "third", "--yes")
    listed = s2s_here("runs", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in listed] == ["renamed"]


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rm", "runs rm: use runs rm NAME..."),
        ("mv complete", "runs mv complete: use runs mv OLD NEW"),
        ("complete", "use runs compare RUN RUN... or runs rm NAME... or runs mv OLD NEW"),
        ("rm complete", "complete: there is no terminal to confirm its removal: add --yes"),
        ("rm complete --remove complete --yes", "rm: remove it, or --remove and --rename"),
        ("compare complete", "at least two different runs"),
    ],
)
def test_a_wrong_word_changes_no_run(s2s_here, random_runs, line, message):
    result = s2s_here("runs", *line.split(), check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr
    assert (random_runs / "complete").is_dir()
