"""How long a training will take: a rough guess, corrected by what the trainings of a sweep take.

The guess is `seq2seq_cli.forecast`'s; it is the ratio of one cell to another that has to be about
right, for the first finished cell corrects the rest.
"""

from seq2seq_cli.data.plan import Plan, validation_samples
from seq2seq_cli.forecast import PROGRAM_SECONDS, START_SECONDS, step_seconds

SAVE_SECONDS = 1.0
"""To save and evaluate a run."""

TRUST_SECONDS = 20.0
"""Seconds of trainings after which what was measured counts as much as what was guessed."""

ONE_CORE = 1.5
"""How many times as long a cell takes that has one core, and not two as the guess has it."""


def start_seconds(plan: Plan) -> float:
    """Return what a process takes before its first step, however many seeds it trains."""
    return START_SECONDS + PROGRAM_SECONDS * len(plan.widths)


def seed_seconds(plan: Plan) -> float:
    """Return what the training of a seed takes; less if it is stopped early."""
    config, task, training = plan.config, plan.config.task, plan.config.training
    n_in = (task.lengths.shortest + task.lengths.longest) / 2
    step = step_seconds(config, n_in, min(float(task.n_out), n_in) + task.has_end)
    # A validation has no backward pass, which is two thirds of a step.
    n_validations = -(-training.epoch_steps // training.validation_steps) * training.epochs
    validated = n_validations * validation_samples(config) / training.batch_size
    return SAVE_SECONDS + (training.total_steps + validated / 3) * step


class Forecast:
    """The guesses' correction: by how many threads a cell has, and by what was measured so far."""

    def __init__(self, threads: int = 0) -> None:
        self._guessed = TRUST_SECONDS
        self._measured = TRUST_SECONDS * (ONE_CORE if threads == 1 else 1)

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
