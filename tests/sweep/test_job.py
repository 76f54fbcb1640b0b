"""A cell's process: what it is told, how it ends, and what is sent where no folder is shared."""

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake import small

from seq2seq_cli.runs.folder import hold_run
from seq2seq_cli.sweep import executors, job
from seq2seq_cli.sweep.executors import cores, local_workers
from seq2seq_cli.sweep.job import Job, run_job

TOLD = """
import json, os, sys
arguments = sys.argv[1:]
told = {"arguments": arguments, "threads": os.environ.get("TF_NUM_INTRAOP_THREADS"),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}
print(json.dumps({"seeds": [{"seed": 0, "told": told}, {"seed": 1}]}))
"""
FAILING = """
import sys
print("noise of a library", file=sys.stderr)
print("s2s: task.n_out = 9: should be less", file=sys.stderr)
print("more noise", file=sys.stderr)
sys.exit(2)
"""
WAITING = """
import signal, sys, time
def end(number, frame):
    print("s2s: terminated; checkpoint saved", file=sys.stderr)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
open(sys.argv[sys.argv.index("--runs-dir") + 1] + "/ready", "w").close()
time.sleep(60)
"""


@pytest.fixture
def trains(monkeypatch):
    """Let a script take the place of `s2s train`."""

    def use(script):
        monkeypatch.setattr(job, "COMMAND", (sys.executable, "-c", script))

    return use


def a_job(folder, **given) -> Job:
    values = {
        "cell": "c", "given": {"task.n_in": 6, "model.attention": "dot"}, "first_seed": 0,
        "n_seeds": 2, "missing": (0, 1), "folder": str(folder), "cwd": str(folder),
    }  # fmt: skip
    return Job(**values | given)


def never() -> bool:
    return False


def arguments(outcome) -> list[str]:
    return outcome.reports[0]["told"]["arguments"]


def test_a_process_is_told_the_cell_s_settings_and_seeds(trains, tmp_path):
    trains(TOLD)
    outcome = run_job(a_job(tmp_path), never)
    assert outcome.code == 0
    assert outcome.seconds > 0
    told = arguments(outcome)
    assert [told[i + 1] for i, text in enumerate(told) if text == "--set"] == [
        "task.n_in=6", 'model.attention="dot"',
    ]  # fmt: skip
    for option, value in (("--seed", "0"), ("--seeds", "2"), ("--run", "c")):
        assert told[told.index(option) + 1] == value
    assert not {"--resume", "--force"} & set(told)
    assert outcome.reports[0]["told"]["threads"] == os.environ.get("TF_NUM_INTRAOP_THREADS")
    assert run_job(a_job(tmp_path, threads=1), never).reports[0]["told"]["threads"] == "1"


def test_what_there_is_decides_how_it_goes_on(trains, tmp_path):
    trains(TOLD)
    (tmp_path / "c-seed-0.training").mkdir()
    (tmp_path / "c-seed-0.training" / "config.toml").touch()  # killed before it had a checkpoint
    assert not {"--resume", "--force"} & set(arguments(run_job(a_job(tmp_path), never)))
    small.stop(tmp_path, 40, "c-seed-1")
    assert "--resume" in arguments(run_job(a_job(tmp_path), never))


def test_the_reason_is_the_last_line_of_s2s(trains, tmp_path):
    trains(FAILING)
    outcome = run_job(a_job(tmp_path), never)
    assert (outcome.code, outcome.reason) == (2, "task.n_out = 9: should be less")
    assert outcome.reports is None
    trains("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run_job(a_job(tmp_path), never).reason == "killed by SIGKILL"
    trains("import sys; sys.exit(6)")
    assert run_job(a_job(tmp_path), never).reason == "it ended with code 6"


def test_a_process_that_is_stopped_ends_by_itself(trains, tmp_path):
    trains(WAITING)
    outcome = run_job(a_job(tmp_path), (tmp_path / "ready").exists)
    assert (outcome.code, outcome.reason) == (143, "terminated; checkpoint saved")


def test_one_that_another_process_trains_is_waited_for(trains, tmp_path):
    trains(TOLD)
    path, released = small.stop(tmp_path, 40, "c-seed-1"), []

    def hold():
        with hold_run(path):
            ready.set()
            time.sleep(0.5)
            released.append(time.monotonic())

    ready = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    outcome = run_job(a_job(tmp_path), never, 0.05)
    thread.join()
    assert outcome.code == 0
    assert len(released) == 1
    assert time.monotonic() - outcome.seconds >= released[0]
    with hold_run(path):
        assert run_job(a_job(tmp_path), lambda: True).code == -signal.SIGTERM


def test_cells_at_a_time_use_different_gpus(trains, tmp_path, monkeypatch):
    trains(
        TOLD
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
    gpus = [outcome.reports[0]["told"]["gpu"] for outcome in outcomes]
    assert sorted(gpus) == ["2", "2", "GPU-8f2b"]


@pytest.mark.parametrize("has_own_gpu", [True, False])
@pytest.mark.parametrize(("visible", "alone"), [("", ""), ("1,0", "1")])
def test_a_cell_has_the_gpus_of_its_sweep(
    trains, tmp_path, monkeypatch, has_own_gpu, visible, alone
):
    trains(TOLD)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    outcome = run_job(a_job(tmp_path, has_own_gpu=has_own_gpu), never)
    assert outcome.reports[0]["told"]["gpu"] == (alone if has_own_gpu else visible)


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


def test_where_no_folder_is_shared_complete_runs_are_sent(trains, tmp_path):
    trains(SENDING.format(path=sys.path))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    sent = run_job(a_job(theirs, seal=".shared-1", n_seeds=3, missing=(1, 2)), never)
    assert (sent.code, sorted(sent.reports)) == (6, [1, 2])
    assert {name.split("/")[0] for name in sent.files} == {"c-seed-1"}
    assert not theirs.exists()
    job.receive(ours, sent.files)
    assert json.loads((ours / "c-seed-1" / "run.json").read_text())["results"]
    (ours / ".shared-1").touch()
    assert run_job(a_job(ours, seal=".shared-1"), never).files == {}


def test_jobs_share_the_cores(monkeypatch):
    for n_cores, jobs, threads in ((8, 1, 0), (8, 3, 2), (4, 4, 1)):
        monkeypatch.setattr(executors, "cores", lambda n=n_cores: n)
        with local_workers(jobs) as workers:
            assert (workers.slots(), workers.threads) == (jobs, threads)
            assert workers.have_own_gpus is (jobs > 1)
            assert max(1, threads) * jobs <= n_cores
    with pytest.raises(Exception, match="jobs = 9: should be from 1 to 4"), local_workers(9):
        pass
    assert cores() >= 1


@pytest.mark.parametrize(
    ("n_cells", "n_cores", "memory", "jobs"),
    [(12, 4, None, 4), (3, 4, None, 3), (12, 4, 25, 2), (12, 4, 5, 1), (0, 4, None, 1)],
)
def test_as_many_cells_at_a_time_as_there_are_cores_and_memory(
    monkeypatch, n_cells, n_cores, memory, jobs
):
    monkeypatch.setattr(executors, "cores", lambda: n_cores)
    monkeypatch.setattr(executors, "available_memory", lambda: memory)
    assert executors.fitting_jobs(n_cells, 10) == jobs
