"""The history: the figures of each call, bounded, and how it is read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import record

from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.history import Call, history_line, history_text, parse_history, with_call

CALL = st.tuples(st.integers(1, 50), st.floats(0, 10), st.floats(0, 1), st.floats(1e-6, 1))


@given(st.lists(CALL, max_size=60), st.integers(4, 12))
def test_calls_are_bounded_and_lose_no_step(drawn, most):
    calls, done = (), 0
    for steps, loss, share, rate in drawn:
        done += steps
        calls = with_call(calls, Call(done, steps, loss, share, rate), most)
        assert len(calls) <= most
    assert sum(call.steps for call in calls) == done
    ends = [call.steps_done for call in calls]
    assert ends == sorted(set(ends))
    for field, place in (("loss", 1), ("exact_match", 2)):
        mean = sum(call.steps * getattr(call, field) for call in calls)
        assert mean == pytest.approx(sum(call[0] * call[place] for call in drawn), rel=1e-4)
    if drawn:
        assert calls[-1].learning_rate == pytest.approx(drawn[-1][3], rel=1e-5)


def test_the_calls_of_a_long_training_have_equal_steps():
    calls = ()
    for step in range(1, 1001):
        calls = with_call(calls, Call(step, 1, 1.0, 0.5, 0.01), 64)
    assert 32 < len(calls) <= 64
    assert {call.steps for call in calls[:-1]} == {calls[0].steps}


def test_calls_are_read_as_they_were_written():
    calls = Call(3, 3, 1.25, 0.5, 0.01), Call(10, 7, 1e-7, 1.0, 0.0)
    records = record(1), replace(record(2), calls=calls)
    assert parse_history(history_text(records).encode(), Path("history.jsonl")) == records
    assert json.loads(history_line(records[1]))["calls"] == [list(call) for call in calls]


@pytest.mark.parametrize("calls", ["[[1, 2, 3]]", '[[1, 2, "x", 0, 0]]', "5", "null"])
def test_damaged_calls_are_refused(calls):
    line = history_line(record(1)).replace('"calls": []', f'"calls": {calls}')
    with pytest.raises(ModelError, match=r"history\.jsonl is corrupt"):
        parse_history(line.encode(), Path("history.jsonl"))
