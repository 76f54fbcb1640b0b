"""The content of the compiled programs, and the device: nothing here runs a training."""

import re

import pytest
import tensorflow as tf
from tiny import tiny_config

from seq2seq_cli.training.distribution import DistributedLoop
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program.device import device_name
from seq2seq_cli.training.program.loop import CHUNK, Loop
from seq2seq_cli.training.program.recurrent import LstmCall, run_lstms

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


def products(n_steps, can_fold=False):
    """Return the elementwise products in the kernels of a masked LSTM and its gradients."""
    mask = tf.constant([[True, False]] * n_steps)

    @tf.function(jit_compile=True, autograph=False)
    def gradients(inputs, kernel, one):
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel])
            call = LstmCall(inputs, kernel, mask=mask)
            results = run_lstms([call], n_steps, tf.constant(1.0) if can_fold else one)[0]
            loss = sum(map(tf.reduce_sum, results))
        return tape.gradient(loss, [inputs, kernel])

    shapes = (tf.zeros((n_steps, 2, 12)), tf.zeros((3, 12)), tf.ones(()))
    program = gradients.experimental_get_compiler_ir(*shapes)(stage="optimized_hlo")
    return len(re.findall(r" multiply\(", program))


def test_the_work_of_a_block_grows_linearly_with_its_time_steps():
    assert products(10) < 2.2 * products(5)
    # The negative control: if XLA can fold the 1, it repeats the chains of operations.
    assert products(10, can_fold=True) > 2.6 * products(5, can_fold=True)


@pytest.mark.parametrize(
    ("models", "name"),
    [
        ([], "CPU"),
        (["NVIDIA H200"], "GPU: NVIDIA H200"),
        (["NVIDIA H200"] * 4, "4 GPUs: NVIDIA H200"),
        (["NVIDIA A2", "NVIDIA L4", None], "3 GPUs: NVIDIA A2, NVIDIA L4, unknown"),
    ],
)
def test_the_device_has_the_models_of_its_gpus(monkeypatch, models, name):
    details = {
        number: {"device_name": model} if model else {} for number, model in enumerate(models)
    }
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    assert device_name.__wrapped__() == name
