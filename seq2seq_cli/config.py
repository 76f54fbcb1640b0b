"""The settings of a run: what they are, and their defaults.

A configuration has one section per concern. The requirements of the tasks are not known here.
"""

import re
from numbers import Integral
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from seq2seq_cli.errors import ConfigurationError

LIMIT = 2**63
"""Every integer setting is smaller than this, so that it can be counted and multiplied with."""


def check_integer(name: str, value: object, least: int = 0, most: int = LIMIT - 1) -> None:
    """Raise ConfigurationError unless a value is an integer from `least` to `most`."""
    if not isinstance(value, Integral) or not least <= int(value) <= most:
        raise ConfigurationError(f"{name} = {value!r}: should be an integer from {least} to {most}")


class Section(BaseModel):
    """A frozen, strictly typed group of settings that rejects unknown keys.

    Its validator is built at first use.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    @field_validator("*")
    @classmethod
    def _check_size(cls, value: object) -> object:
        if type(value) is int and value >= LIMIT:
            raise ValueError("should be less than 2**63")
        return value


class Lengths(NamedTuple):
    """The lengths of sources: from the shortest to the longest, all equally frequent."""

    shortest: int
    longest: int

    @classmethod
    def parse(cls, value: int | str) -> "Lengths":
        """Return the lengths written as `6` or `"1-25"`; ValueError for anything else."""
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", str(value).strip(), re.ASCII)
        shortest, longest = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= shortest <= longest:
            raise ValueError('should be a length of at least 1, or a range such as "1-25"')
        return cls(shortest, longest)

    def __str__(self) -> str:
        """Return the lengths as they are typed."""
        return f"{self.shortest}-{self.longest}" if self.vary else str(self.longest)

    @property
    def vary(self) -> bool:
        """Whether there is more than one."""
        return self.shortest < self.longest

    @property
    def setting(self) -> int | str:
        """The value of `n_in` for these lengths."""
        return str(self) if self.vary else self.longest


def _check_lengths(value: object) -> object:
    if isinstance(value, str) and "-" in value:
        lengths = Lengths.parse(value)
        return f"{lengths.shortest}-{lengths.longest}"
    if type(value) is not int:
        raise ValueError('should be a valid integer, or a range such as "1-25"')
    if value < 1:
        raise ValueError("should be greater than or equal to 1")
    return value


LengthSetting = Annotated[int | str, BeforeValidator(_check_lengths)]
"""A length, or a range of them."""


DigitOrder = Literal["big-endian", "little-endian"]
"""Which digit of a number comes first: the most significant or the least significant one."""


class TaskConfig(Section):
    """What to learn: the task and the sizes that scale its difficulty."""

    name: str = Field("reverse-prefix", description="the task; see `s2s tasks`")
    n_in: LengthSetting = Field(
        6, description='integers in a source; "1-25" for a uniformly random number'
    )
    n_out: int = Field(3, ge=1, description="integers in a target, for tasks with a free length")
    cardinality: int = Field(
        51, ge=2, le=1_000_000, description="number of ids, 0 to cardinality-1; 0 is reserved"
    )
    k: int | None = Field(None, ge=1, description="k, a number of some tasks; see `s2s tasks`")
    digit_order: DigitOrder | None = Field(
        None, description="order of the digits in addition; unset: big-endian"
    )
    data: str = Field("", description="custom pairs, not a task: a file, or source,target files")
    validation_data: str = Field("", description="pairs to validate on; unset: held-out ones")
    end_of_sequence: bool | None = Field(
        None, description="targets end with an extra id; unset: if their lengths vary"
    )
    name_sha256: str = Field("", description="of the file of a custom task; filled in")
    data_sha256: str = Field("", description="of the data that the run is tied to; filled in")
    validation_data_sha256: str = Field("", description="of the validation data; filled in")

    @property
    def lengths(self) -> Lengths:
        """The lengths of the sources."""
        return Lengths.parse(self.n_in)

    @property
    def has_end(self) -> bool:
        """Whether targets have an end of sequence; by default if their lengths may vary."""
        if self.end_of_sequence is not None:
            return self.end_of_sequence
        return bool(self.data) or "-" in str(self.n_in)

    @model_validator(mode="after")
    def _check_end(self) -> "TaskConfig":
        if not self.has_end and (self.data or self.lengths.vary):
            raise ValueError("end_of_sequence = false: targets whose lengths vary need their end")
        return self


class ModelConfig(Section):
    """The network that learns the task."""

    units: int = Field(128, ge=1, description="units per layer, the width of the LSTMs' states")
    layers: int = Field(1, ge=1, le=64, description="LSTMs stacked in the encoder and the decoder")
    bidirectional: bool = Field(False, description="the encoder reads in both directions")
    attention: Literal["none", "dot"] = Field(
        "none", description="attention of the decoder to the encoder's outputs; dot: Luong's"
    )
    attention_radius: int = Field(
        4,
        ge=0,
        description="positions up to which attention learns where to look; 0: by content alone",
    )
    embedding: int = Field(0, ge=0, description="size of a learned embedding; 0: one-hot")
    pretrained_embedding: str = Field(
        "", description="embedding to start from, an .npy file of shape (cardinality, embedding)"
    )
    pretrained_embedding_sha256: str = Field("", description="of that file; filled in")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of a layer's inputs dropped")
    token_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the decoder's input tokens dropped"
    )
    recurrent_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the LSTMs' hidden state dropped"
    )
    recurrent_dropout_in: Literal["both", "encoder", "decoder"] = Field(
        "both", description="the LSTMs that have recurrent dropout"
    )

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        if self.pretrained_embedding and not self.embedding:
            raise ValueError("pretrained_embedding needs model.embedding, its size")
        return self


class TrainingConfig(Section):
    """How the network is trained."""

    n_samples: int = Field(100_000, ge=1, description="sequences per epoch")
    epochs: int = Field(1, ge=1, description="epochs, each of new sequences")
    batch_size: int = Field(64, ge=1, description="sequences per optimizer step")
    # Numbers beyond these limits are infinite as 32-bit floats.
    learning_rate: float = Field(0.01, gt=0, le=3.4e38, description="peak learning rate of Adam")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="course of the learning rate; cosine: warm-up, then decay to zero"
    )
    clip_norm: float = Field(
        0.0, ge=0, le=3.4e38, description="limit of the gradients' norm; 0: none"
    )
    stop_at: float = Field(
        0.0, ge=0, le=1, description="stop once held-out exact match reaches this; 0: never"
    )
    patience: int = Field(
        0, ge=0, description="epochs without improvement before stopping; 0: never"
    )
    validate_every: int = Field(
        0,
        ge=0,
        description="sequences from one validation to the next within an epoch, rounded up to "
        "whole batches; 0: at its end only",
    )
    seed: int = Field(0, ge=0, description="seed of the weights and the sequences")

    @property
    def epoch_steps(self) -> int:
        """Optimizer steps per epoch, rounded up to whole batches."""
        return -(-self.n_samples // self.batch_size)

    @property
    def validation_steps(self) -> int:
        """Optimizer steps between validations; the last interval of an epoch may be shorter."""
        steps = -(-self.validate_every // self.batch_size)
        return min(steps or self.epoch_steps, self.epoch_steps)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.epochs * self.epoch_steps


class RunConfig(Section):
    """All settings of a run."""

    task: TaskConfig = Field(default_factory=TaskConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    def to_toml(self) -> str:
        """Return the configuration as TOML text, every setting written out."""
        import tomli_w  # reading settings does not need it

        return tomli_w.dumps(self.model_dump(exclude_none=True))
