"""The input sequences of a command: arguments, standard input or a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.config import Lengths
from seq2seq_cli.data.text import Lines, iterate_sequences, parse_sequence
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.resources import LIST, Need, check

Sequence = list[int] | None
"""A sequence; None for a blank line."""

MOST_INTEGERS = 2**18
"""Maximum integers in a batch of several lines."""


@dataclass(frozen=True)
class InputSequences:
    """Sequences, each read and checked when it is needed.

    `is_ready` returns whether the next one, or the end, can be read without waiting.
    """

    sequences: Iterator[Sequence]
    is_ready: Callable[[], bool]

    def batches(self, size: int) -> Iterator[list[Sequence]]:
        """Yield the sequences, up to `size` together, fewer if the next one is not available yet.

        Before waiting, standard output is flushed. Raises DataError for a bad sequence, after
        yielding those before it.
        """
        failure = None
        while failure is None:
            if not self.is_ready():
                output.flush()
            batch: list[Sequence] = []
            n_integers = 0
            try:
                for sequence in self.sequences:
                    batch.append(sequence)
                    n_integers += len(sequence or ())
                    if len(batch) >= size or n_integers >= MOST_INTEGERS or not self.is_ready():
                        break
            except DataError as error:
                failure = error
            if batch:
                yield batch
            elif failure is None:
                return
        raise failure

    def all(self) -> list[list[int]]:
        """Return all sequences without the blank lines; DataError if they exceed the memory."""
        collected, n_integers, checked = list[list[int]](), 0, 0
        for sequence in filter(None, self.sequences):
            collected.append(sequence)
            n_integers += len(sequence)
            if n_integers > checked + MOST_INTEGERS:
                checked, taken = n_integers, LIST * len(collected) + 8 * n_integers
                check([Need("all of them", taken, {"sequences": len(collected)})], error=DataError)
        return collected


def check_input(sequences: list[str] | None, file: Path | None) -> None:
    """Raise ConfigurationError unless the sequences are arguments, standard input or a file."""
    if sequences and file:
        raise ConfigurationError("sequences and --input: use only one of the two")
    if sequences and len(sequences) > 1 and "-" in sequences:
        raise ConfigurationError("-: standard input has all sequences: remove the others")
    if not sequences and not file:
        raise ConfigurationError('give sequences, such as "22 17 23 5 29 11", or --input FILE')


def join_arguments(sequences: list[str] | None, trained: Lengths, quiet: bool) -> list[str] | None:
    """Return the sequences; single integers are joined to one sequence, which a message says.

    They are joined if their number is the only length of sources the run was `trained` on. Raises
    ConfigurationError if it is not, unless some of these sources have one integer.
    """
    n = len(sequences or ())
    if not sequences or n == 1 or trained.shortest == 1:
        return sequences
    integers = [text.strip(" ,[]()") for text in sequences]
    if not all(text.isascii() and text.isdigit() for text in integers):
        return sequences
    source = " ".join(integers)
    if trained == (n, n):
        output.message(f'note: the {n} integers are read as one sequence, "{source}"', quiet)
        return [source]
    raise ConfigurationError(
        f"{n} sequences of one integer each, and the run was trained on sources of {trained} "
        f'integers: put each sequence in quotes, such as "{source}"'
    )


@contextmanager
def read_sequences(
    sequences: list[str] | None, file: Path | None, cardinality: int
) -> Iterator[InputSequences]:
    """Yield the sequences; if they are arguments, all are checked first."""
    if is_stream(sequences, file):
        name = str(file or "standard input")
        with output.open_input(file) as opened:
            lines = Lines(opened, name)
            yield InputSequences(iterate_sequences(lines, name, cardinality), lines.is_ready)
    else:
        parsed = [parse_sequence(text, cardinality) for text in sequences or []]
        yield InputSequences(iter(parsed), lambda: True)


def is_stream(sequences: list[str] | None, file: Path | None) -> bool:
    """Return whether the number of sequences is unknown."""
    return bool(file) or sequences == ["-"]
