"""The Keras models and the loop compared with plain Keras, and inference with both."""

import json
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_run import RandomRun
from tiny import draw_pairs

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.vocabulary import one_hot_decode, one_hot_encode, shift_right
from seq2seq_cli.inference.greedy import greedy, predict_sequence
from seq2seq_cli.inference.loading import load_network, load_run
from seq2seq_cli.runs.manifest import DECODER_MODEL, ENCODER_MODEL
from seq2seq_cli.training.models import build_models, define_models
from seq2seq_cli.training.program import device
from seq2seq_cli.training.program.loop import Loop
from seq2seq_cli.training.program.network import gather_rows
from seq2seq_cli.training.program.optimizer import learning_rates
from seq2seq_cli.training.program.recurrent import LstmCall, run_lstms

TASK = TaskConfig(n_in=5, n_out=3, cardinality=17)


def test_plain_keras_predicts_as_the_tutorial_does(trained, tmp_path):
    """Without this package; with one-hot vectors, and with ids and position biases."""
    decode = """
import json, sys, keras, numpy as np
class Refuse:
    def find_spec(self, name, *_):
        assert not name.startswith("seq2seq_cli")
sys.meta_path.insert(0, Refuse())
def predict(folder, source, token, n):
    encoder, decoder = (keras.models.load_model(f"{folder}/inference_{part}.keras")
                        for part in ("encoder", "decoder"))
    attended = [] if "small" in folder else [-1]
    state = encoder.predict(source, verbose=0)
    memory = [state.pop(i) for i in attended]
    tokens = [np.zeros(len(source), int)]
    for _ in range(n):
        inputs = [token(tokens[-1][:, None]), *state, *memory]
        probabilities, *state = decoder.predict(inputs, verbose=0)
        tokens.append(1 + probabilities[:, 0, 1:].argmax(axis=1))
    print(json.dumps(np.stack(tokens[1:], 1).tolist()))
"""
    sources = np.array([[5, 11, 12, 4], [1, 2, 3, 4], [12, 12, 1, 1]], np.int32)
    calls = [f"predict({str(trained / 'runs' / 'small')!r}, np.eye(13)[{sources.tolist()}], "
             "lambda ids: np.eye(13)[ids], 2)"]  # fmt: skip
    expected = [np.array([[11, 5], [2, 1], [12, 12]])]
    for n_in, last in ((4, 8), ("2-4", 0)):
        task = TaskConfig(n_in=n_in, n_out=3, cardinality=9)
        model = ModelConfig(units=5, attention="dot", bidirectional=True, embedding=3)
        config = RunConfig(task=task, model=model)
        models, generator, files = build_models(config), np.random.default_rng(3), {}
        for weight in models[0].trainable_variables:
            weight.assign(generator.normal(0, 0.5, weight.shape))
        folder = tmp_path / str(n_in)
        folder.mkdir()
        for name, saved in zip((ENCODER_MODEL, DECODER_MODEL), models[1:], strict=True):
            saved.save(folder / name)
            files[name] = (folder / name).read_bytes()
        source = np.array([[5, 1, 8, 4], [3, 2, 8, last]], np.int32)
        calls.append(f"predict({str(folder)!r}, np.array({source.tolist()}), lambda ids: ids, 3)")
        expected.append(greedy(load_network(RandomRun(config, files)), source, 3).tokens)
    command = [sys.executable, "-c", "\n".join([decode, *calls])]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    for line, tokens in zip(result.stdout.splitlines(), expected, strict=True):
        np.testing.assert_array_equal(np.where(tokens, json.loads(line), 0), tokens)


def test_numpy_agrees_with_keras_on_trained_weights(trained):
    folder = trained / "runs" / "small"
    network = load_run("small", trained / "runs")
    train = keras.models.load_model(folder / "train.keras")
    encoder = keras.models.load_model(folder / "inference_encoder.keras")
    decoder = keras.models.load_model(folder / "inference_decoder.keras")
    config = network.config.task
    sources, targets = draw_pairs(config, Split.TEST, 9, 0, 500)
    encoded, shifted = one_hot_encode(sources, 13), one_hot_encode(shift_right(targets), 13)
    ours = network.decoder([shifted, *network.encoder(encoded)])[0]
    theirs = train([encoded, shifted]).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_array_equal(one_hot_decode(ours), one_hot_decode(theirs))
    for row in range(20):
        keras_steps = predict_sequence(encoder, decoder, encoded[row : row + 1], 2, 13)
        numpy_steps = predict_sequence(
            network.encoder, network.decoder, encoded[row : row + 1], 2, 13
        )
        np.testing.assert_allclose(keras_steps, numpy_steps, atol=1e-5)


def test_models_share_their_weights_and_follow_their_seed():
    train, encoder, decoder = define_models(9, 9, 8, seed=1)
    shared = {id(weight) for weight in train.weights}
    assert {id(weight) for weight in encoder.weights + decoder.weights} == shared
    again, other = define_models(9, 9, 8, seed=1)[0], define_models(9, 9, 8, seed=2)[0]
    for first, second, third in zip(train.weights, again.weights, other.weights, strict=True):
        np.testing.assert_array_equal(first, second)
        if first.path.endswith("kernel"):
            assert not np.array_equal(first, third)


def run_config(task=TASK, units=8, **training):
    return RunConfig(task=task, model=ModelConfig(units=units), training=TrainingConfig(**training))


@pytest.mark.parametrize(
    ("layout", "clip_norm", "n_in"),
    [(device.CPU, 0.1, 5), (device.GPU._replace(block=3), 0.0, 5)],
)
def test_the_loop_takes_the_steps_of_plain_keras(monkeypatch, layout, clip_norm, n_in):
    """Losses of the first steps, and the weights that their gradients lead to."""
    monkeypatch.setattr(device, "CPU", layout)
    cardinality = 17
    update = {"n_in": n_in, "n_out": min(n_in, 3), "cardinality": cardinality}
    task = TASK.model_copy(update=update)
    config = run_config(task, batch_size=16, n_samples=16 * 6, clip_norm=clip_norm)
    sources, targets = draw_pairs(task, Split.TRAIN, 0, 0, 16 * 6)
    rates = learning_rates(config.training, 0, 6)
    ours = define_models(cardinality, cardinality, 8, seed=2)[0]
    result = Loop(ours, config).train(sources, targets, rates)
    plain = define_models(cardinality, cardinality, 8, seed=2)[0]
    optimizer = keras.optimizers.Adam(global_clipnorm=clip_norm or None)
    plain.compile(optimizer=optimizer, loss="categorical_crossentropy")
    losses = []
    encoded = [one_hot_encode(ids, cardinality) for ids in (sources, shift_right(targets), targets)]
    for step, rate in enumerate(rates):
        rows = slice(step * 16, step * 16 + 16)
        optimizer.learning_rate = rate
        losses.append(
            float(plain.train_on_batch([encoded[0][rows], encoded[1][rows]], encoded[2][rows]))
        )
        plain.reset_metrics()
    assert result.loss == pytest.approx(np.mean(losses), abs=1e-5)
    assert result.n_samples == 96
    for first, second in zip(ours.weights, plain.weights, strict=True):
        np.testing.assert_allclose(first, second, atol=2e-4)


def plain_lstm(call):
    """Run an LSTM step by step, for automatic differentiation: outputs, hidden and cell state."""
    hidden, cell = call.state
    outputs = [None] * len(call.inputs)
    for t in range(len(call.inputs))[:: -1 if call.reverse else 1]:
        before = hidden if call.dropped is None else hidden * call.dropped
        i, f, c, o = tf.split(call.inputs[t] + tf.matmul(before, call.kernel), 4, axis=1)
        after = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(c)
        shown = tf.sigmoid(o) * tf.tanh(after)
        real = True if call.mask is None else call.mask[t][:, tf.newaxis]
        hidden, cell = tf.where(real, shown, hidden), tf.where(real, after, cell)
        outputs[t] = hidden
    return tf.stack(outputs), hidden, cell


@pytest.mark.parametrize(
    ("reverse", "masked", "dropped", "block"),
    [(False, False, False, 1), (True, True, True, 2), (False, True, False, 5),
     (True, False, True, 5), (False, True, True, 1)],
)  # fmt: skip
def test_the_lstm_has_the_gradients_of_automatic_differentiation(reverse, masked, dropped, block):
    generator = np.random.default_rng(2)

    def normal(*shape):
        return tf.constant(generator.normal(size=shape), tf.float32)

    inputs, kernel, state = normal(5, 2, 12), normal(3, 12), (normal(2, 3), normal(2, 3))
    mask = tf.constant([[True, True], [True, True], [True, False], [True, False], [False, False]])
    call = LstmCall(
        inputs,
        kernel,
        state,
        mask if masked else None,
        tf.constant([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]]) if dropped else None,
        reverse,
    )
    factors = [normal(5, 2, 3), normal(2, 3), normal(2, 3)]
    results = []
    for run in (plain_lstm, lambda call: run_lstms([call], block, tf.ones(()))[0]):
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel, *state])
            total = sum(tf.reduce_sum(f * r) for f, r in zip(factors, run(call), strict=True))
        results.append([total, *tape.gradient(total, [inputs, kernel, *state])])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("layout", [device.CPU, device.GPU])
def test_a_large_vocabulary_builds_no_array_of_its_width_per_step(monkeypatch, layout):
    """The gradient of a gather has a row for each id, not a one-hot vector; on a GPU too."""
    monkeypatch.setattr(device, "CPU", layout)
    rows, ids = 50_000, tf.zeros((64, 6), tf.int32)

    @tf.function
    def gradient(table):
        with tf.GradientTape() as tape:
            tape.watch(table)
            loss = tf.reduce_sum(gather_rows(table, ids))
        return tape.gradient(loss, table)

    graph = gradient.get_concrete_function(tf.TensorSpec((rows, 4))).graph
    shapes = [output.shape for op in graph.get_operations() for output in op.outputs]
    assert max(shape.num_elements() or 0 for shape in shapes if shape.rank is not None) == rows * 4


def test_the_reserved_id_is_never_predicted():
    config = RunConfig(task=TASK, model=ModelConfig(units=4))
    model = build_models(config)[0]
    loop = Loop(model, config)
    # For any input the output layer finds id 0 most likely, then id 5.
    kernel, bias = model.get_layer("output").weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign(np.eye(17)[0] * 9 + np.eye(17)[5] * 5)
    sources, targets = draw_pairs(TASK, Split.TRAIN, 0, 0, 64)
    tokens, _ = loop.validate(sources, np.full_like(targets, 5))
    assert (tokens == 5).all()
    result = loop.train(sources, np.full_like(targets, 5), np.zeros(1, np.float32))
    assert result.exact == 64


def test_no_source_is_rewritten_for_tracing(monkeypatch, tmp_path):
    """AutoGraph writes each function that it converts into the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = RunConfig(task=TASK, model=ModelConfig(units=4))
    loop = Loop(build_models(config)[0], config)
    loop.trace(5, 3, "0" * 32)
    loop.trace_validation(64, 5, 3)
    assert list(tmp_path.iterdir()) == []
    call = LstmCall(tf.zeros((1, 2, 12)), tf.zeros((3, 12)), (tf.zeros((2, 3)),) * 2)
    tf.function(plain_lstm)(call)
    assert list(tmp_path.iterdir()) != []  # the negative control: here it does


def test_validation_is_the_teacher_forced_prediction():
    model = define_models(17, 17, 8, seed=2)[0]
    sources, targets = draw_pairs(TASK, Split.VALIDATION, 0, 0, 40)
    tokens, log_likelihood = Loop(model, run_config()).validate(sources, targets)
    expected = model(
        [one_hot_encode(sources, 17), one_hot_encode(shift_right(targets), 17)]
    ).numpy()
    np.testing.assert_array_equal(tokens, one_hot_decode(expected[..., 1:]) + 1)
    picked = np.take_along_axis(expected, targets[..., None], axis=2)
    assert log_likelihood == pytest.approx(float(np.log(picked).sum()), rel=1e-5)


def test_the_schedule_warms_up_and_falls_to_zero():
    config = TrainingConfig(learning_rate=0.02, n_samples=200, batch_size=1)
    rates = learning_rates(config, 0, 200)
    assert rates.argmax() in (9, 10)
    assert rates.max() == pytest.approx(0.02)
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] < 1e-5
    np.testing.assert_array_equal(learning_rates(config, 50, 10), rates[50:60])
    constant = TrainingConfig(schedule="constant", learning_rate=0.3)
    assert set(learning_rates(constant, 0, 5)) == {np.float32(0.3)}
