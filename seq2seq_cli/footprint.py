"""How much memory a configuration's training and inference take at the least."""

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import RunConfig
from seq2seq_cli.memory import Need

FLOAT = 4  # bytes; an id has as many

CHUNK = 100
"""Most optimizer steps in one call of the compiled program: so many batches are in memory."""

ATTENTION_COPIES = 3
"""Arrays of attention's scores in a step: scores, weights and a gradient."""

VALIDATION_BATCH = 1000
VALIDATION_BATCH_TOKENS = 50_000
"""Of long sequences fewer are validated together, or their arrays would fill the memory."""

LIST = 56
"""Bytes of a list without its items."""

TABLE_ROW = 2000
"""Bytes of a row of a table on the screen."""

TENSORFLOW = 500 * 10**6
"""Bytes that TensorFlow takes for itself."""


def training_needs(config: RunConfig, n_processes: int = 1) -> list[Need]:
    """Return what a training takes, in each of the processes that share its batches."""
    task, model, training = config.task, config.model, config.training
    architecture = Architecture.of(config)
    longest, n_out = task.lengths.longest, task.n_out + int(task.has_end)
    batch = -(-training.batch_size // n_processes)
    validated = validation_batch(config)
    sizes = {"model.units": model.units, "task.cardinality": task.cardinality}
    lengths = {"task.n_in": longest, "task.n_out": task.n_out}
    batches = {"training.batch_size": training.batch_size, **lengths}
    parameters = FLOAT * architecture.parameters
    steps = longest * (2 if model.bidirectional else 1)
    states = model.layers * (steps * model.units + n_out * architecture.width)
    scores = longest * n_out * ATTENTION_COPIES if model.attention != "none" else 0
    return [
        # Weights, their gradients and two moments of these.
        Need(
            f"{architecture.parameters:,} weights, their gradients and moments",
            4 * parameters,
            {**sizes, "model.embedding": model.embedding},
        ),
        Need(
            f"the sequences of {CHUNK} batches",
            FLOAT * CHUNK * batch * (longest + 2 * n_out),
            batches,
        ),
        # The gates and states of all steps are kept for the backward pass.
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


def validation_batch(config: RunConfig) -> int:
    """Return the number of held-out sequences that are validated together, at most."""
    length = config.task.lengths.longest + config.task.n_out
    # There is room for a training batch: a training keeps more of it than a validation.
    least = config.training.batch_size
    return min(VALIDATION_BATCH, max(least, VALIDATION_BATCH_TOKENS // length))


def decoding_needs(
    config: RunConfig, n_in: int, n_out: int, rows: int = 1, beam: int = 1, attention: bool = False
) -> list[Need]:
    """Return what it takes to decode so many sources of this length, up to `n_out` tokens each.

    With `attention` the weights of all steps are kept.
    """
    architecture, model = Architecture.of(config), config.model
    attended = model.attention != "none"
    width = architecture.width
    kept = (beam if attended else 1) * width if attended or model.layers > 1 else 1
    lengths = {"a sequence's length": n_in}
    return [
        Need("what is kept of its steps", FLOAT * rows * n_in * kept, lengths),
        Need(
            "its hypotheses",
            FLOAT * rows * beam * (2 * architecture.n_output + 2 * model.layers * width + n_out),
            {"beam": beam, **lengths} if beam > 1 else lengths,
        ),
        Need("its attention", FLOAT * rows * beam * n_out * n_in * int(attention), lengths),
    ]


def evaluation_needs(
    config: RunConfig, n_in: int, n_out: int, rows: int, n_examples: int, n_threads: int
) -> list[Need]:
    """Return what it takes to evaluate batches of so many sources, on each of the threads.

    It does not depend on the number of all that are evaluated, but for the examples that are shown.
    """
    lengths = {"n_in": n_in}
    width = Architecture.of(config).width
    tokens = FLOAT * rows * (n_in + n_out * (3 + width))
    decoding = sum(need.bytes for need in decoding_needs(config, n_in, n_out, rows))
    shown = n_examples * (3 * LIST + 8 * (n_in + 2 * n_out))
    return [
        Need(f"decoding {rows:,} sequences", n_threads * (decoding + tokens), lengths),
        Need("the examples", shown, {"examples": n_examples, **lengths}),
    ]


def encoding_needs(config: RunConfig, n_in: int, n: int) -> list[Need]:
    """Return what the states of so many sources take, as arrays that are put together."""
    states = 2 * config.model.layers * Architecture.of(config).width
    given = {"sequences": n, "a sequence's length": n_in}
    one = decoding_needs(config, n_in, 1)[:1]
    return [*one, Need("their states", FLOAT * n * (2 * states + n_in), given)]


def generating_needs(n_samples: int, n_in: int, n_out: int, is_table: bool) -> list[Need]:
    """Return what pairs take that are written together: as a table, or as arrays."""
    row = TABLE_ROW if is_table else 2 * FLOAT * (n_in + n_out)
    given = {"n_samples": n_samples}
    return [Need("all of them, which are written together,", n_samples * row, given)]
