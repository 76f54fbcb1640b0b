"""All the pairs of a file, to be evaluated."""

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.pairs import Pairs
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.vocabulary import Ids, Vocabulary


class GivenStream:
    """All the pairs of a file, in their order, whatever the split; it is for evaluation."""

    def __init__(self, pairs: Pairs, task: TaskConfig) -> None:
        self._pairs, self._vocabulary = pairs, Vocabulary.of(task)

    @property
    def longest(self) -> int:
        """The longest source in the file."""
        return self._pairs.sources.longest

    def size(self, split: Split) -> int | None:
        """Return how many pairs there are."""
        return len(self._pairs)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of the file, see Stream."""
        rows = np.arange(start, min(start + n, len(self._pairs)))
        targets = self._pairs.targets.padded(rows, self._pairs.targets.longest)
        sources = self._pairs.sources.padded(rows, self.longest)
        return sources, self._vocabulary.end_targets(targets)
