"""What a planned training will take: steps, programs, memory and time, all but the steps roughly.

The time is that of two cores, from the arithmetic of a step: its products at a fixed rate, each
weight's update, and each step of the sequences. The rates fit the README's measured steps within a
factor of two, and the memory within one and a half.
"""

from dataclasses import dataclass
from math import prod

from seq2seq_cli.architecture import KEYS_LAYER, Architecture, Layer
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.batches import WINDOW, Batches
from seq2seq_cli.data.plan import Plan
from seq2seq_cli.footprint import training_needs

PRODUCTS_PER_SECOND = 55e9
"""Multiplications and additions of matrix products in a second, each counted."""

UPDATE_SECONDS = 3e-9
"""Of a weight's gradient, moments and change in an optimizer step."""

COLUMN_SECONDS = 0.15e-3
"""Of a step of the sequences, forward and backward, besides its products."""

STEP_SECONDS = 0.3e-3
"""Of an optimizer step, besides all that."""

PROGRAM_SECONDS = 6.5
"""Of compiling the program for sequences of some lengths, unless it is kept."""

START_SECONDS = 5.0
"""Of importing TensorFlow."""

TENSORFLOW_BYTES = 800 * 10**6
"""Of a process that has compiled and run a small program."""

COPIES = 3
"""How often what is needed at the least is there, with what is computed from it."""


@dataclass(frozen=True)
class Forecast:
    """What a training will take."""

    steps: int
    n_in: float  # on average, of batches with their padding
    n_out: float
    step_seconds: float
    programs: int  # that are compiled, unless they are kept
    memory: int  # bytes
    seconds: float


def forecast(plan: Plan, n_seeds: int = 1) -> Forecast:
    """Return what a planned training will take, under each of so many seeds in turn.

    Some batches are drawn, as they will be.
    """
    steps = plan.config.training.total_steps
    batches = Batches(plan.stream, plan.widths, plan.config)
    drawn = 1 if len(plan.widths) == 1 else min(steps, WINDOW)
    shapes = [tuple(part.shape[1] for part in batches.draw(step, 1)) for step in range(drawn)]
    n_in, n_out = (sum(both) / drawn for both in zip(*shapes, strict=True))
    each = step_seconds(plan.config, n_in, n_out)
    programs = len(set(shapes))
    seconds = START_SECONDS + PROGRAM_SECONDS * programs + n_seeds * steps * each
    return Forecast(steps, n_in, n_out, each, programs, expected_bytes(plan), seconds)


def expected_bytes(plan: Plan) -> int:
    """Return the memory that a planned training's process will take."""
    return TENSORFLOW_BYTES + COPIES * sum(need.bytes for need in training_needs(plan.config))


def step_seconds(config: RunConfig, n_in: float, n_out: float) -> float:
    """Return the seconds of an optimizer step on sequences of these lengths."""
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
    """Return how many weights of a layer a token is multiplied with; others are looked up by id."""
    first = (architecture.encoder_lstms[0].name, architecture.decoder_lstms[0].name)
    matrices = [shape for shape in layer.shapes if len(shape) > 1]
    if layer.kind == "Embedding":
        return 0
    if layer.name in first and not architecture.embedding:
        matrices = matrices[1::2]  # the recurrent kernels
    return sum(prod(shape) for shape in matrices)
