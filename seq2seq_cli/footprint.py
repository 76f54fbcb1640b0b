"""How much memory a configuration's training and inference take at the least."""

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import RunConfig
from seq2seq_cli.memory import Need

FLOAT = 4  # bytes; an id has as many

CHUNK = 100
"""Most optimizer steps in one call of the compiled program: so many batches are in memory."""

VALIDATION_BATCH = 1000
VALIDATION_BATCH_TOKENS = 50_000
"""Of long sequences fewer are validated together, or their arrays would fill the memory."""

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
        Need(
            "a batch's scores of all ids",
            FLOAT * max(batch, validated) * n_out * architecture.n_output,
            {**batches, "task.cardinality": task.cardinality},
        ),
    ]


def validation_batch(config: RunConfig) -> int:
    """Return how many held-out sequences are validated together, at the most."""
    length = config.task.lengths.longest + config.task.n_out
    return min(VALIDATION_BATCH, max(1, VALIDATION_BATCH_TOKENS // length))


def inference_need(config: RunConfig, n_in: int) -> Need:
    """Return what one source of this length takes in inference: what is kept of its steps."""
    architecture = Architecture.of(config)
    is_kept = config.model.attention != "none" or config.model.layers > 1
    width = architecture.width if is_kept else 1
    return Need("what is kept of its steps", FLOAT * n_in * width, {"a sequence's length": n_in})
