"""The built-in tasks by their names. A further one is a function, and its line here."""

from seq2seq_cli.data.shapes import SHAPES
from seq2seq_cli.data.tasks.arithmetic import (
    addition,
    modular_addition,
    parity,
    prefix_sum,
    running_max,
    shift_values,
)
from seq2seq_cli.data.tasks.counts import histogram, mode, run_length
from seq2seq_cli.data.tasks.excerpts import larger_than_first, selective_copy, unique
from seq2seq_cli.data.tasks.rearrangements import (
    copy,
    duplicate,
    odds_first,
    repeat_copy,
    reverse,
    reverse_prefix,
    rotate,
    sort,
    swap_pairs,
)
from seq2seq_cli.data.tasks.recall import associative_recall, missing_duplicate
from seq2seq_cli.data.tasks.task import Level, Number, Task

REGULAR, FREE, SENSITIVE = Level

MOST_TIMES = 1000
"""Times that a source may be repeated."""

MOST_PLACES = 1_000_000
"""Places that a source may be rotated by."""

OTHER_ORDER = "the same integers in another order"

TIMES = Number("times", lambda values: 2, lambda values: MOST_TIMES)
PLACES = Number("places", lambda values: 1, lambda values: MOST_PLACES)
STEP = Number("what is added", lambda values: 1, lambda values: values - 1)
NOISE = Number("the largest noise", lambda values: values // 2, lambda values: values - 1)

TASKS = {
    task.name: task
    for task in (
        Task(
            "reverse-prefix",
            "the first n_out integers, reversed",
            reverse_prefix,
            FREE,
            takes_n_out=True,
            alike="others with the same beginning",
        ),
        Task("reverse", "all integers, reversed", reverse, FREE),
        Task("copy", "all integers, as they are", copy, SENSITIVE),
        Task("sort", "all integers, in ascending order", sort, SENSITIVE, alike=OTHER_ORDER),
        Task("duplicate", "the source twice", duplicate, SENSITIVE, example=(4, 9, 2)),
        Task(
            "repeat-copy",
            "the source k times",
            repeat_copy,
            SENSITIVE,
            example=(4, 9, 2),
            number=TIMES,
        ),
        Task(
            "odds-first",
            "the 1st, 3rd, 5th... integer, then the 2nd, 4th...",
            odds_first,
            SENSITIVE,
        ),
        Task("rotate", "the first k integers moved to the end", rotate, SENSITIVE, number=PLACES),
        Task("swap-pairs", "the integers of each pair swapped", swap_pairs, SENSITIVE),
        Task(
            "shift-values",
            "each integer plus k; after the largest follows 1",
            shift_values,
            SENSITIVE,
            number=STEP,
            least_cardinality=3,
        ),
        Task(
            "prefix-sum",
            "the digits' sums so far, modulo; id i is digit i - 1",
            prefix_sum,
            SENSITIVE,
        ),
        Task("running-max", "the largest integer so far", running_max, SENSITIVE),
        Task(
            "histogram",
            "how often each integer there occurs",
            histogram,
            SENSITIVE,
            counts=True,
        ),
        Task(
            "mode",
            "the integer that occurs most often, the smallest of several",
            mode,
            SENSITIVE,
            alike=OTHER_ORDER,
        ),
        Task(
            "addition",
            "the sum of two numbers, the halves; id i is digit i - 1",
            addition,
            SENSITIVE,
            example=(2, 3, 9, 9),
            digit_order="big-endian",
            least_cardinality=3,
            alike="the same numbers, or their digits at one place, swapped",
        ),
        Task(
            "modular-addition",
            "the digits' sum, modulo; id i is digit i - 1",
            modular_addition,
            REGULAR,
            alike=OTHER_ORDER,
        ),
        Task(
            "parity",
            "1 for an even number of even integers, else 2",
            parity,
            REGULAR,
            least_cardinality=3,
            alike="any with as many even integers",
        ),
        Task("unique", "each integer once, as they first occur", unique, REGULAR, ends_early=True),
        Task(
            "filter",
            "the integers larger than the first",
            larger_than_first,
            SENSITIVE,
            ends_early=True,
            alike="others with smaller integers elsewhere",
        ),
        Task(
            "selective-copy",
            "the integers larger than k; the others are noise",
            selective_copy,
            SENSITIVE,
            ends_early=True,
            number=NOISE,
            least_cardinality=3,
            alike="others with the noise elsewhere",
        ),
        Task(
            "run-length",
            "each run of equal integers: the integer, how many",
            run_length,
            SENSITIVE,
            example=(4, 4, 4, 9, 4),
            ends_early=True,
        ),
        Task(
            "associative-recall",
            "after pairs of key and value the value of a key",
            associative_recall,
            REGULAR,
            example=(4, 9, 2, 5, 4),
            alike="the same pairs in another order",
            shape=SHAPES["associative-recall"],
        ),
        Task(
            "missing-duplicate",
            "the integer hidden by the largest id, in a row said twice",
            missing_duplicate,
            SENSITIVE,
            example=(4, 9, 2, 4, 10, 2),
            least_cardinality=4,
            alike="the same row, with its twin hidden",
            shape=SHAPES["missing-duplicate"],
        ),
    )
}
