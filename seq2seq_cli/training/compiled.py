"""The compiled loop of a process's trainings: built for the first, restarted for the others."""

import tensorflow as tf

from seq2seq_cli.data.plan import Plan
from seq2seq_cli.training.distribution import DistributedLoop
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program.loop import Loop


def build_loop(plan: Plan, strategy: tf.distribute.Strategy | None) -> Loop:
    """Return the loop of a plan with its initial weights; it is compiled when it first runs."""
    model = build_models(plan.config, plan.embedding)[0]
    if strategy:
        return DistributedLoop(model, plan.config, strategy)
    return Loop(model, plan.config)


def restart_loop(loop: Loop, plan: Plan) -> None:
    """Restart a loop for a plan of the same sizes, from its initial weights, under its seed."""
    model = build_models(plan.config, plan.embedding)[0]
    weights = [variable.numpy() for variable in model.trainable_variables]
    loop.restart(weights, plan.config.training.seed)


class SharedLoop:
    """The loop of trainings that differ only in their seed, and so share one program."""

    def __init__(self, strategy: tf.distribute.Strategy | None) -> None:
        self._strategy = strategy
        self._loop: Loop | None = None

    def begun(self, plan: Plan) -> Loop:
        """Return the loop at the beginning of a plan; the previous training must have ended."""
        if self._loop is None:
            self._loop = build_loop(plan, self._strategy)
        else:
            restart_loop(self._loop, plan)
        return self._loop
