"""The memory and time that a configuration needs.

Memory is counted as a lower bound: what exceeds this machine's could never work, and is refused.
A training's memory and time are estimated from that bound and from a step's arithmetic, for two
cores. The rates fit the steps measured in tests/README.md within a factor of two, and the memory
within one and a half.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from seq2seq_cli.architecture import KEYS_LAYER, Architecture, Layer
from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.machine import available_memory

FLOAT = 4
"""Bytes of a float, and of an id."""

LIST = 56
"""Bytes of an empty list."""

TABLE_ROW = 2000
"""Bytes of a row of a table on the screen."""

CHUNK = 100
"""Maximum optimizer steps in one call of the compiled program, which takes all their batches."""

ATTENTION_COPIES = 3
"""Arrays of attention's scores in a step: scores, weights and a gradient."""

TENSORFLOW = 500 * 10**6
"""Bytes of a process that has imported TensorFlow, at least."""

PROCESS = 800 * 10**6
"""Bytes of a process that has compiled and run a small program."""

COPIES = 3
"""How many times the lower bound a training's arrays take, with what is computed from them."""

PRODUCTS_PER_SECOND = 55e9
"""Multiplications and additions of matrix products per second, each counted."""

UPDATE_SECONDS = 3e-9
"""Time to update a weight and its moments in an optimizer step."""

COLUMN_SECONDS = 0.15e-3
"""Time of one step of the sequences, forward and backward, without its products."""

STEP_SECONDS = 0.3e-3
"""Remaining time of an optimizer step."""

PROGRAM_SECONDS = 6.5
"""Time to compile the program for one width of the batches, unless it is cached."""

START_SECONDS = 5.0
"""Time to import TensorFlow."""

SAVE_SECONDS = 1.0
"""Time to save and evaluate a run."""


@dataclass(frozen=True)
class Need:
    """A lower bound of the bytes that something takes, and the settings that it grows with."""

    what: str
    bytes: int
    settings: Mapping[str, int]


def check(
    needs: Sequence[Need], besides: int = 0, error: type[S2sError] = ConfigurationError
) -> None:
    """Raise `error` if the needs and `besides`, in bytes, exceed the available memory.

    The message names the largest need, and of its settings the one with the largest value.
    """
    limit = available_memory()
    if limit is None or besides + sum(need.bytes for need in needs) <= limit:
        return
    largest = max(needs, key=lambda need: need.bytes)
    name, value = max(largest.settings.items(), key=lambda setting: setting[1])
    raise error(
        f"{name} = {value}: {largest.what} would take at least {format_bytes(largest.bytes)} of "
        f"memory, and {format_bytes(limit)} is available: use a smaller value"
    )


def format_bytes(n_bytes: int) -> str:
    """Return a number of bytes with a decimal unit, such as 1.5 GB."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:,.0f} {units[0]}" if size >= 100 else f"{size:.3g} {units[0]}"


def validation_samples(config: RunConfig) -> int:
    """Return the number of held-out sequences that validate a training: fewer of long ones."""
    return _by_length(config, least=100, most=10_000, n_integers=1_000_000)


def validation_batch(config: RunConfig) -> int:
    """Return the number of held-out sequences validated together, at most.

    There is room for a training batch: a training keeps more of it than a validation does.
    """
    return _by_length(config, least=config.training.batch_size, most=1000, n_integers=50_000)


def _by_length(config: RunConfig, least: int, most: int, n_integers: int) -> int:
    length = config.task.lengths.longest + config.task.n_out
    return min(most, max(least, n_integers // length))


def training_needs(config: RunConfig, n_processes: int = 1) -> list[Need]:
    """Return what a training needs in each of the processes that share its batches."""
    task, model, training = config.task, config.model, config.training
    architecture = Architecture.of(config)
    longest, n_out = task.lengths.longest, task.n_out + int(task.has_end)
    batch = -(-training.batch_size // n_processes)
    validated = validation_batch(config)
    sizes = {"model.units": model.units, "task.cardinality": task.cardinality}
    lengths = {"task.n_in": longest, "task.n_out": task.n_out}
    batches = {"training.batch_size": training.batch_size, **lengths}
    steps = longest * (2 if model.bidirectional else 1)
    states = model.layers * (steps * model.units + n_out * architecture.width)
    scores = longest * n_out * ATTENTION_COPIES if model.attention != "none" else 0
    return [
        Need(
            f"{architecture.parameters:,} weights, their gradients and two moments",
            FLOAT * 4 * architecture.parameters,
            {**sizes, "model.embedding": model.embedding},
        ),
        Need(
            f"the sequences of {CHUNK} batches",
            FLOAT * CHUNK * batch * (longest + 2 * n_out),
            batches,
        ),
        # The backward pass needs the gates and states of all steps.
        Need(
            "a batch's activations",
            FLOAT * batch * 5 * states,
            {**batches, "model.units": model.units},
        ),
        Need("attention's scores", FLOAT * batch * scores, batches),
        Need(
            "a batch's scores of all ids",
            FLOAT * max(batch, validated) * n_out * architecture.n_output,
            {**batches, "task.cardinality": task.cardinality},
        ),
    ]


def check_training(config: RunConfig, n_processes: int = 1, jobs: int = 1) -> None:
    """Raise ConfigurationError if a training, one of `jobs` at a time, exceeds the memory."""
    check(training_needs(config, n_processes), TENSORFLOW * jobs)


def decoding_needs(
    config: RunConfig, n_in: int, n_out: int, rows: int = 1, beam: int = 1, attention: bool = False
) -> list[Need]:
    """Return what decoding needs: `rows` sources of `n_in` integers, up to `n_out` tokens each.

    With `attention` the weights of all steps are kept.
    """
    architecture, model = Architecture.of(config), config.model
    attended = model.attention != "none"
    width = architecture.width
    outputs = (beam if attended else 1) * width if attended or model.layers > 1 else 1
    lengths = {"a sequence's length": n_in}
    return [
        Need("the encoder's outputs", FLOAT * rows * n_in * outputs, lengths),
        Need(
            "the hypotheses",
            FLOAT * rows * beam * (2 * architecture.n_output + 2 * model.layers * width + n_out),
            {"beam": beam, **lengths} if beam > 1 else lengths,
        ),
        Need("the attention", FLOAT * rows * beam * n_out * n_in * int(attention), lengths),
    ]


def evaluation_needs(
    config: RunConfig, n_in: int, n_out: int, rows: int, n_examples: int, n_threads: int
) -> list[Need]:
    """Return what an evaluation needs: a batch of `rows` sources per thread, and the examples."""
    lengths = {"n_in": n_in}
    tokens = FLOAT * rows * (n_in + n_out * (3 + Architecture.of(config).width))
    decoding = sum(need.bytes for need in decoding_needs(config, n_in, n_out, rows))
    examples = n_examples * (3 * LIST + 8 * (n_in + 2 * n_out))
    return [
        Need(f"decoding {rows:,} sequences", n_threads * (decoding + tokens), lengths),
        Need("the examples", examples, {"examples": n_examples, **lengths}),
    ]


def encoding_needs(config: RunConfig, n_in: int, n: int) -> list[Need]:
    """Return what the states of `n` sources need, twice while they are joined."""
    states = 2 * config.model.layers * Architecture.of(config).width
    settings = {"sequences": n, "a sequence's length": n_in}
    outputs = decoding_needs(config, n_in, 1)[0]
    return [outputs, Need("their states", FLOAT * n * (2 * states + n_in), settings)]


def generating_needs(n_samples: int, n_in: int, n_out: int, is_table: bool) -> list[Need]:
    """Return what pairs need that are written at once: as a table, or as arrays."""
    row = TABLE_ROW if is_table else 2 * FLOAT * (n_in + n_out)
    return [Need("all pairs", n_samples * row, {"n_samples": n_samples})]


@dataclass(frozen=True)
class Estimate:
    """What a training is expected to need; `n_in` and `n_out` are its batches' mean widths."""

    steps: int  # of each seed
    n_in: float
    n_out: float
    programs: int  # compiled, unless they are cached
    memory: int  # bytes
    step_seconds: float
    start_seconds: float  # before the first step, whatever the number of seeds
    seed_seconds: float  # of each seed, unless it stops early

    def seconds(self, n_seeds: int = 1) -> float:
        """Return the time of a process that trains this many seeds."""
        return self.start_seconds + n_seeds * self.seed_seconds if n_seeds else 0.0


def estimate(config: RunConfig, n_in: float, n_out: float, programs: int) -> Estimate:
    """Return the estimate for batches of these mean widths, with a program for each width."""
    training, step = config.training, step_seconds(config, n_in, n_out)
    # A validation has no backward pass, which is two thirds of a step.
    n_validations = -(-training.epoch_steps // training.validation_steps) * training.epochs
    validations = n_validations * validation_samples(config) / training.batch_size / 3
    return Estimate(
        steps=training.total_steps,
        n_in=n_in,
        n_out=n_out,
        programs=programs,
        memory=PROCESS + COPIES * sum(need.bytes for need in training_needs(config)),
        step_seconds=step,
        start_seconds=START_SECONDS + PROGRAM_SECONDS * programs,
        seed_seconds=SAVE_SECONDS + (training.total_steps + validations) * step,
    )


def step_seconds(config: RunConfig, n_in: float, n_out: float) -> float:
    """Return the time of an optimizer step on sequences of these lengths."""
    architecture = Architecture.of(config)
    of_source = {layer.name for layer in architecture.encoder_layers} | {KEYS_LAYER}
    products = 2 * sum(
        _multiplied(layer, architecture) * (n_in if layer.name in of_source else n_out)
        for layer in architecture.all_layers
    )
    if architecture.attention_layers:
        products += 4 * n_in * n_out * architecture.width
    # The backward pass has twice the products of the forward one.
    arithmetic = 3 * products * config.training.batch_size / PRODUCTS_PER_SECOND
    updates = architecture.parameters * UPDATE_SECONDS
    return STEP_SECONDS + arithmetic + updates + (n_in + n_out) * COLUMN_SECONDS


def _multiplied(layer: Layer, architecture: Architecture) -> int:
    """Return the number of a layer's weights that a token is multiplied with, not looked up in."""
    first = (architecture.encoder_lstms[0].name, architecture.decoder_lstms[0].name)
    matrices = [shape for shape in layer.shapes if len(shape) > 1]
    if layer.kind == "Embedding":
        return 0
    if layer.name in first and not architecture.embedding:
        matrices = matrices[1::2]  # the recurrent kernels
    return sum(prod(shape) for shape in matrices)
