"""A cell's process: its options, how it ends, and what is sent where no folder is shared."""

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake import small

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.folder import hold_run
from seq2seq_cli.sweep import executors, job
from seq2seq_cli.sweep.executors import check_jobs, cores, local_workers
from seq2seq_cli.sweep.job import Job, run_job

ECHO = """
import json, os, sys
arguments = sys.argv[1:]
print(json.dumps({"seeds": [
    {"seed": 0, "arguments": arguments, "threads": os.environ.get("TF_NUM_INTRAOP_THREADS"),
     "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")},
    {"seed": 1},
]}))
"""
FAILING = """
import sys
print("noise of a library", file=sys.stderr)
print('{"error": "task.n_out = 9: should be less\\\\nn_in too", "exit_code": 2}', file=sys.stderr)
print('"more noise"', file=sys.stderr)
sys.exit(2)
"""
WAITING = """
import signal, sys, time
def end(number, frame):
    print('{"error": "terminated; checkpoint saved"}', file=sys.stderr)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
open(sys.argv[sys.argv.index("--runs-dir") + 1] + "/ready", "w").close()
time.sleep(60)
"""


@pytest.fixture
def trains(monkeypatch):
    """Return a function that replaces `s2s train` by a script."""
    return lambda script: monkeypatch.setattr(job, "COMMAND", (sys.executable, "-c", script))


def a_job(folder, **values) -> Job:
    defaults = {
        "cell": "c", "settings": {"task.n_in": 6, "model.attention": "dot"}, "seeds": range(2),
        "missing": (0, 1), "folder": str(folder), "cwd": str(folder),
    }  # fmt: skip
    return Job(**defaults | values)


def never() -> bool:
    return False


def test_a_process_gets_the_cell_s_settings_and_seeds(trains, tmp_path):
    trains(ECHO)
    outcome = run_job(a_job(tmp_path), never)
    assert outcome.code == 0
    assert outcome.seconds > 0
    arguments = outcome.reports[0]["arguments"]
    assert [arguments[i + 1] for i, text in enumerate(arguments) if text == "--set"] == [
        "task.n_in=6", 'model.attention="dot"',
    ]  # fmt: skip
    for option, value in (("--seed", "0"), ("--seeds", "2"), ("--run", "c")):
        assert arguments[arguments.index(option) + 1] == value
    assert not {"--resume", "--force"} & set(arguments)
    assert outcome.reports[0]["threads"] == os.environ.get("TF_NUM_INTRAOP_THREADS")


def test_a_cell_with_a_checkpoint_is_resumed_on_its_threads(trains, tmp_path):
    trains(ECHO)
    (tmp_path / "c-seed-0.training").mkdir()
    (tmp_path / "c-seed-0.training" / "config.toml").touch()  # killed before it had a checkpoint
    first = run_job(a_job(tmp_path, threads=1), never).reports[0]
    assert first["threads"] == "1"
    assert not {"--resume", "--force"} & set(first["arguments"])
    small.stop(tmp_path, 40, "c-seed-1")
    assert "--resume" in run_job(a_job(tmp_path), never).reports[0]["arguments"]


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        (FAILING, 2, "task.n_out = 9: should be less; n_in too"),
        ("import sys; sys.exit('a traceback')", 1, "a traceback"),
        ("import os; os.kill(os.getpid(), 9)", -9, "killed by SIGKILL"),
        ("import sys; sys.exit(6)", 6, "it ended with code 6"),
    ],
)
def test_the_reason_is_the_last_message(trains, tmp_path, script, code, reason):
    trains(script)
    outcome = run_job(a_job(tmp_path), never)
    assert (outcome.code, outcome.reason, outcome.reports) == (code, reason, None)


def test_other_lines_on_standard_output_are_ignored(trains, tmp_path):
    trains("print('mine')\n" + ECHO + "print('{}'); print('at the end')")
    assert run_job(a_job(tmp_path), never).reports[1] == {"seed": 1}


def test_a_stopped_process_saves_a_checkpoint(trains, tmp_path):
    trains(WAITING)
    outcome = run_job(a_job(tmp_path), (tmp_path / "ready").exists)
    assert (outcome.code, outcome.reason) == (143, "terminated; checkpoint saved")


def test_a_run_in_training_is_waited_for(trains, tmp_path):
    trains(ECHO)
    path, released = small.stop(tmp_path, 40, "c-seed-1"), []
    ready = threading.Event()

    def hold():
        with hold_run(path):
            ready.set()
            time.sleep(0.5)
            released.append(time.monotonic())

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    outcome = run_job(a_job(tmp_path), never, 0.05)
    thread.join()
    assert outcome.code == 0
    assert time.monotonic() - outcome.seconds >= released[0]
    with hold_run(path):
        assert run_job(a_job(tmp_path), lambda: True).code == -signal.SIGTERM


def test_cells_in_parallel_use_different_gpus(trains, tmp_path, monkeypatch):
    trains(
        ECHO
        + f"""
import time
from pathlib import Path
Path({str(tmp_path)!r}, "started-" + arguments[arguments.index("--run") + 1]).touch()
while len(list(Path({str(tmp_path)!r}).glob("started-*"))) < 3:
    time.sleep(0.01)
"""
    )
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8f2b")
    jobs = [a_job(tmp_path, cell=cell, has_own_gpu=True) for cell in "abc"]
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda job: run_job(job, never), jobs))
    assert sorted(outcome.reports[0]["gpu"] for outcome in outcomes) == ["2", "2", "GPU-8f2b"]


@pytest.mark.parametrize(
    ("has_own_gpu", "visible", "used"), [(True, "", ""), (True, "1,0", "1"), (False, "1,0", "1,0")]
)
def test_a_cell_has_the_gpus_of_its_sweep(
    trains, tmp_path, monkeypatch, has_own_gpu, visible, used
):
    trains(ECHO)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    outcome = run_job(a_job(tmp_path, has_own_gpu=has_own_gpu), never)
    assert outcome.reports[0]["gpu"] == used


SENDING = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from fake import small
arguments = sys.argv[1:]
runs_dir = Path(arguments[arguments.index("--runs-dir") + 1])
small.train(runs_dir, "c-seed-1")
small.stop(runs_dir, 40, "c-seed-2")
print('{{"seeds": [{{"seed": 1}}, {{"seed": 2}}]}}', flush=True)
sys.exit(6)
"""


def test_complete_runs_are_sent_where_no_folder_is_shared(trains, tmp_path):
    trains(SENDING.format(path=sys.path))
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    sent = run_job(a_job(there, seal=".shared-1", seeds=range(3), missing=(1, 2)), never)
    assert (sent.code, sorted(sent.reports)) == (6, [1, 2])
    assert {name.split("/")[0] for name in sent.files} == {"c-seed-1"}
    assert not there.exists()
    job.receive(here, sent.files)
    assert json.loads((here / "c-seed-1" / "run.json").read_text())["results"]
    (here / ".shared-1").touch()
    assert run_job(a_job(here, seal=".shared-1"), never).files == {}


def test_jobs_share_the_cores(monkeypatch):
    for n_cores, jobs, threads in ((8, 1, 0), (8, 3, 2), (4, 4, 1)):
        monkeypatch.setattr(executors, "cores", lambda n=n_cores: n)
        with local_workers(jobs) as workers:
            assert (workers.slots(), workers.threads) == (jobs, threads)
            assert workers.have_own_gpus is (jobs > 1)
    with pytest.raises(ConfigurationError, match="jobs = 9: should be at most 4"):
        check_jobs(9)
    assert cores() >= 1


@pytest.mark.parametrize(
    ("n_cells", "n_cores", "memory", "jobs"),
    [(12, 4, None, 4), (3, 4, None, 3), (12, 4, 25, 2), (12, 4, 5, 1), (0, 4, None, 1)],
)
def test_the_number_of_cells_in_parallel_fits_cores_and_memory(
    monkeypatch, n_cells, n_cores, memory, jobs
):
    monkeypatch.setattr(executors, "cores", lambda: n_cores)
    monkeypatch.setattr(executors, "available_memory", lambda: memory)
    assert executors.fitting_jobs(n_cells, 10) == jobs
