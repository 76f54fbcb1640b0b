"""The history of a training: what each of its validations came to."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

from seq2seq_cli.errors import ModelError
from seq2seq_cli.storage import read_text


@dataclass(frozen=True)
class EpochRecord:
    """An epoch, or its beginning, validated on held-out sequences: a line of the history.

    Validated within an epoch, `n_samples` is how many of the epoch's sequences were trained on
    until then, and training loss, seconds and speed are of these.
    """

    epoch: int
    epochs: int
    n_samples: int
    training_loss: float
    loss: float
    exact_match: float
    exact_match_low: float
    exact_match_high: float
    teacher_forced_token_accuracy: Annotated[
        float,
        Field(validation_alias=AliasChoices("teacher_forced_token_accuracy", "token_accuracy")),
    ]
    learning_rate: float
    seconds: float
    samples_per_s: float
    steps_done: int | None = None  # since the training's beginning; None in older histories
    is_whole: bool = True  # whether this is the epoch's end


def history_line(record: EpochRecord) -> str:
    """Return a record's line, without its end."""
    fields = EpochRecord.__dataclass_fields__
    return json.dumps({name: value for name, value in asdict(record).items() if name in fields})


def history_text(records: Iterable[EpochRecord]) -> str:
    """Return what the file of these records holds."""
    return "".join(f"{history_line(record)}\n" for record in records)


def read_history(path: Path) -> tuple[EpochRecord, ...]:
    """Return the records in a file; ModelError where it is damaged."""
    adapter = TypeAdapter(EpochRecord)  # here, for few commands read histories
    try:
        return tuple(adapter.validate_json(line) for line in read_text(path).splitlines())
    except ValidationError as error:
        raise ModelError(f"{path} is corrupt: {error.errors()[0]['msg']}") from error
