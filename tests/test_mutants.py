import mutants
import pytest

from seq2seq_cli.runs.listing import Run


def test_a_sample_of_mutants_is_refused_or_answers_the_same(tmp_path):
    counts, wrong = mutants.run(8, 3, tmp_path)
    assert wrong == []
    assert {"same", "refused"} <= counts.keys()


def test_another_answer_would_be_seen(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A reader that checks no hash answers with another run's weights."""
    monkeypatch.setattr(Run, "read", lambda run, file: (run.path / file).read_bytes())
    monkeypatch.setattr(mutants, "KINDS", ("swap",))
    _, wrong = mutants.run(4, 3, tmp_path)
    assert any("another answer, without a word" in line for line in wrong)
