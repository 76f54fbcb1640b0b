"""Where sequences come from: drawn anew for a task, or a file's pairs."""

from seq2seq_cli.data.streams.generated import GeneratedStream
from seq2seq_cli.data.streams.given import GivenStream
from seq2seq_cli.data.streams.own import OwnStream, Subset, own_split_codes, split_pairs
from seq2seq_cli.data.streams.stream import Stream, TrainingStream, iterate_pairs

__all__ = [
    "GeneratedStream",
    "GivenStream",
    "OwnStream",
    "Stream",
    "Subset",
    "TrainingStream",
    "iterate_pairs",
    "own_split_codes",
    "split_pairs",
]
