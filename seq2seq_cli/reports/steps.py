"""The decoder's steps on a sequence, as texts and numbers for a reader who steps through them."""

import numpy as np

from seq2seq_cli.data.vocabulary import PADDING, START, Floats, Vocabulary, pad, shift_right
from seq2seq_cli.evaluation import Example
from seq2seq_cli.inference.greedy import decoding_limits, greedy
from seq2seq_cli.inference.layers import log_softmax
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.reports.data import Row

MOST_STEPS = 200
"""Maximum steps of a sequence; longer ones have those around the first wrong token."""

MOST_RANKED, MOST_UNITS = 5, 5
"""Likeliest tokens, and hidden units that changed most, of a step."""

LEAST_WEIGHT = 0.01
"""Minimum attention to a source token that is listed."""


def decoder_steps(loaded: LoadedRun, example: Example) -> Row:
    """Return the steps of decoding a source freely, of which `first` is the number of the first.

    Each step has the token that the decoder reads, the likeliest tokens with their probabilities
    (the expected one is always among them), the chosen and the expected token. With attention it
    has the positions in the source that have weight; without, the units of the last layer's hidden
    state that changed most, with their values before and after the step.
    """
    vocabulary = Vocabulary.of(loaded.config.task)
    names = {START: "start", vocabulary.end: "end"}
    sources = pad([example.source])
    limits = decoding_limits(loaded.config.task, np.array([len(example.source)]))
    decoded = greedy(loaded, sources, limits, attention=True)
    tokens = decoded.tokens[decoded.tokens != PADDING]
    states, outputs = loaded.encoder.encode(sources)
    memory = loaded.decoder.remember(outputs, sources, limits)
    read = shift_right(tokens[None])
    values = loaded.decoder.read(read, states, memory)[0]
    hidden = np.concatenate([states[-1].hidden, values])  # before each step, and after the last
    expected = [*example.target, *([] if vocabulary.end is None else [vocabulary.end])]
    expected += [PADDING] * (len(tokens) - len(expected))
    wrong = np.flatnonzero(tokens != expected[: len(tokens)])
    start = max(0, int(wrong.min(initial=len(tokens))) - MOST_STEPS // 2)
    start = max(0, min(start, len(tokens) - MOST_STEPS))
    steps = []
    for t in range(start, min(start + MOST_STEPS, len(tokens))):
        probabilities = np.exp(log_softmax(loaded.decoder.score(values[t])))
        ranked = np.argsort(-probabilities, kind="stable")[:MOST_RANKED].tolist()
        ranked += [expected[t]] * (expected[t] not in (*ranked, PADDING))
        step: Row = {
            "read": names.get(int(read[0, t]), str(read[0, t])),
            "ranked": [[names.get(i, str(i)), probability(probabilities[i])] for i in ranked],
            "chosen": names.get(int(tokens[t]), str(tokens[t])),
            "expected": names.get(expected[t], str(expected[t])) if expected[t] else "nothing",
        }
        if decoded.attention is None:
            step["units"] = _changed_units(hidden[t], hidden[t + 1])
        else:
            weights = decoded.attention[0, t]
            looks = np.flatnonzero(weights >= LEAST_WEIGHT).tolist()
            step["attention"] = [[i, probability(weights[i], digits=0)] for i in looks]
        steps.append(step)
    return {"source": example.source, "first": start + 1, "n": len(tokens), "steps": steps}


def probability(value: float, digits: int = 2) -> str:
    """Return a softmax's probability as a percentage; it is never 0% or 100%."""
    least = 0.01 / 10**digits
    if value < least:
        return f"<{least:.{digits}%}"
    return f">{1 - least:.{digits}%}" if value > 1 - least else f"{value:.{digits}%}"


def _changed_units(before: Floats, after: Floats) -> list[list[float]]:
    """Return the units that changed most: a number, the value before, and the value after."""
    most = np.argsort(-np.abs(after - before), kind="stable")[:MOST_UNITS].tolist()
    return [[i + 1, round(float(before[i]), 2), round(float(after[i]), 2)] for i in most]
