"""A sample of what `full_disk.py` tries."""

import errno

import full_disk
import pytest
from full_disk import SCENARIOS, Faults, Harness, Trial

from seq2seq_cli.runs.folder import RunFolder, remove


@pytest.fixture(scope="module")
def faults():
    return Faults()


@pytest.fixture(scope="module")
def harness(tmp_path_factory, faults):
    with full_disk.ready():
        yield Harness(tmp_path_factory.mktemp("full") / "all", faults)


def test_a_training_and_files_survive_a_full_disk(harness):
    wanted = {"train --force": [(9, errno.ENOSPC), (30, errno.EIO)], "train --resume": [],
              "generate csv": [(1, errno.ENOSPC), (2, errno.EIO)], "encode": []}  # fmt: skip
    for scenario in SCENARIOS:
        if scenario.name in wanted:
            trial, writes = harness.trial(scenario)
            for number, code in wanted[scenario.name]:
                assert number <= writes
                harness.point(trial, number, code)
            harness.limit(trial, 600)
    assert harness.wrong == []
    ended = {(name, code) for name, _, code in harness.counts}
    assert ended == {(name, 6) for name in wanted}


def test_on_a_disk_without_room_too(harness, tmp_path):
    if not full_disk.mount_tmpfs(tmp_path / "disk"):
        pytest.skip("no file system can be mounted here")
    try:
        (scenario,) = (found for found in SCENARIOS if found.name == "generate jsonl")
        trial, _ = harness.trial(scenario)
        assert not harness.disk(trial, tmp_path / "disk", 1)
        assert harness.disk(trial, tmp_path / "disk", 100)
    finally:
        full_disk.subprocess.run(["umount", tmp_path / "disk"], check=True)
    assert harness.wrong == []


def test_what_is_lost_would_be_seen(harness, monkeypatch):
    """A training that removes the run before it has one to take its place."""
    begin = RunFolder.begin

    def careless(self, config):
        remove(self.run)
        begin(self, config)

    (scenario,) = (found for found in SCENARIOS if found.name == "train --force")
    trial, _ = harness.trial(scenario)
    monkeypatch.setattr(RunFolder, "begin", careless)
    harness.point(trial, 9, errno.ENOSPC)
    assert any("train --force" in line for line in harness.wrong)
    harness.wrong.clear()
    assert "not one line" in Trial(scenario, {}).judge(6, ["the disk is full"], {})
