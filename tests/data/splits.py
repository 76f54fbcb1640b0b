"""The side of the split that sources are on."""

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.sampling import hash_sequences, split_codes
from seq2seq_cli.data.vocabulary import Ids


def held_out(sources: Ids, custom: bool = False) -> NDArray[np.bool_]:
    return split_codes(hash_sequences(sources), custom) > 0
