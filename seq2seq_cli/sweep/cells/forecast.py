"""How long a training will take: a rough guess, corrected by what the trainings of a sweep take.

The constants are those of the table of sizes in the README, on two slow cores; it is the ratio of
one cell to another that has to be about right, for the first finished cell corrects the rest.
"""

from math import prod

from seq2seq_cli.architecture import Architecture, Layer
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import Plan, validation_samples

START_SECONDS = 7.0
"""To import TensorFlow and to build the models; of a process."""
COMPILE_SECONDS = 4.0
"""For each length, or width, that is a program of its own; of a process."""
SAVE_SECONDS = 1.0
"""To save and evaluate a run."""

FLOPS = 45e9
"""Of the matrix products, a second."""
PARAMETER_SECONDS = 4e-9
"""Of the optimizer, for each weight."""
TIME_STEP_SECONDS = 3e-5
"""Whatever the sizes."""

TRUST_SECONDS = 20.0
"""Seconds of trainings after which what was measured counts as much as what was guessed."""


def start_seconds(plan: Plan) -> float:
    """Return what a process takes before its first step, however many seeds it trains."""
    n_programs = max(len(plan.stages), len(plan.widths))
    return START_SECONDS + COMPILE_SECONDS * n_programs


def seed_seconds(plan: Plan) -> float:
    """Return what the training of a seed takes; less if it is stopped early."""
    config, training = plan.config, plan.config.training
    seconds, done = SAVE_SECONDS, 0
    for stage in plan.stages:
        longest = stage.stream.longest
        share = longest / config.task.lengths.longest
        seconds += (stage.stop - done) * _step_seconds(config, share)
        done = stage.stop
    # A validation has no backward pass, which is two thirds of a step.
    n_validations = -(-training.epoch_steps // training.validation_steps) * training.epochs
    batches = validation_samples(config) / training.batch_size
    return seconds + n_validations * batches * _step_seconds(config, 1.0) / 3


def _step_seconds(config: RunConfig, share: float) -> float:
    """Return what a step takes on sequences of this share of the whole length."""
    architecture, task = Architecture.of(config), config.task
    n_in = share * (task.lengths.shortest + task.lengths.longest) / 2
    n_out = min(float(task.n_out), n_in) + task.has_end
    products = n_in * _recurrent(architecture.encoder_lstms, bool(architecture.embedding))
    products += n_out * _recurrent(architecture.decoder_lstms, bool(architecture.embedding))
    products += n_out * prod(architecture.output.shapes[0])
    if architecture.attention_layers:
        keys, combining = architecture.attention_layers
        products += n_in * prod(keys.shapes[0]) + n_out * prod(combining.shapes[0])
        products += 2 * n_in * n_out * architecture.width
    flops = 3 * 2 * config.training.batch_size * products
    time_steps = config.model.layers * (n_in + n_out)
    return (
        flops / FLOPS + PARAMETER_SECONDS * architecture.parameters + TIME_STEP_SECONDS * time_steps
    )


def _recurrent(stack: tuple[Layer, ...], embedded: bool) -> int:
    """Return the products of a stack's matrices in one time step; a one-hot input takes none."""
    return sum(
        prod(shape)
        for number, layer in enumerate(stack)
        for place, shape in enumerate(layer.shapes)
        if len(shape) == 2 and (number or embedded or place % 3)
    )


class Forecast:
    """The guesses' correction, by what was measured so far."""

    def __init__(self) -> None:
        self._guessed = self._measured = TRUST_SECONDS

    def learn(self, guessed: float, measured: float) -> None:
        """Take what a cell was guessed to take, and what it has taken."""
        self._guessed += guessed
        self._measured += measured

    def expected(self, guessed: float) -> float:
        """Return the seconds to be expected for a guess."""
        return guessed * self._measured / self._guessed

    def left(self, guessed: list[float], slots: int) -> float:
        """Return the seconds to be expected for cells of these guesses, so many at a time."""
        whole = max(sum(guessed) / max(1, slots), max(guessed, default=0.0))
        return self.expected(whole)
