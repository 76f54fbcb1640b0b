"""What the compiled programs are made of: nothing here runs a training."""

import pytest
import tensorflow as tf
from tiny import tiny_config

from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program.distribution import DistributedLoop
from seq2seq_cli.training.program.loop import CHUNK, Loop

READABLE = {tf.float32, tf.float64, tf.int64}
"""Types of variables that TensorFlow keeps in a GPU's memory, unlike int32, bool and string."""


def traced(loop):
    """Return a loop's training program and its validation program, traced for its sizes."""
    chunk = loop.call_steps or CHUNK
    source, target = (tf.TensorSpec((chunk, loop.batch_size, width), tf.int32) for width in (4, 2))
    rates, steps = tf.TensorSpec((chunk,), tf.float32), tf.TensorSpec((), tf.int32)
    rows = [tf.TensorSpec((loop.batch_size, width), tf.int32) for width in (4, 2, 2)]
    return [
        loop._train.get_concrete_function(source, target, target, rates, rates, steps),
        loop._validate.get_concrete_function(*rows),
    ]


@pytest.mark.parametrize("kind", [Loop, DistributedLoop])
def test_a_gpu_can_read_every_variable_of_the_programs(kind):
    config = tiny_config()
    model = build_models(config)[0]
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = Loop(model, config) if kind is Loop else DistributedLoop(model, config, strategy)
    train, validate = traced(loop)
    n_weights = len(model.trainable_variables)
    assert len(train.graph.variables) == 3 * n_weights + 3  # with the moments and the counters
    assert len(validate.graph.variables) == n_weights
    for program in (train, validate):
        assert {variable.dtype for variable in program.graph.variables} <= READABLE
