"""A sample of `full_disk.py`; zipfile opens again what it cannot open, so no point is there."""

import errno

import pytest
from full_disk import SCENARIOS, Faults, Harness, judge, programs_shared

from seq2seq_cli.runs.folder import RunFolder, remove


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    with programs_shared():
        yield Harness(tmp_path_factory.mktemp("full"), Faults())


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("train --force", [(9, errno.ENOSPC), (20, errno.EIO)]),
        ("train --resume", []),
        ("generate old.csv", [(1, errno.ENOSPC), (2, errno.EIO)]),
        ("encode", []),
    ],
)
def test_a_training_and_files_survive_a_full_disk(harness, name, points):
    after, n_writes = harness.whole(name)
    for number, code in points:
        assert number <= n_writes
        harness.fail_at(name, after, number, code)
    harness.limit(name, after, 600)
    assert harness.wrong == []
    assert {code for scenario, code in harness.counts if scenario == name} == {6}


def test_a_lost_run_would_be_seen(harness, monkeypatch):
    """A training that removes the run before it has another one."""
    begin = RunFolder.begin

    def careless(self, config):
        remove(self.run)
        begin(self, config)

    after, _ = harness.whole("train --force")
    monkeypatch.setattr(RunFolder, "begin", careless)
    harness.fail_at("train --force", after, 9, errno.ENOSPC)
    assert any("done is lost" in line for line in harness.wrong)
    harness.wrong.clear()
    assert "not one line" in judge(SCENARIOS["encode"], 6, ["the disk is full"], {}, {})
