"""Combinations of the model variants: NumPy inference and our losses compared with Keras."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.vocabulary import Vocabulary, shift_right
from seq2seq_cli.inference.greedy import greedy
from seq2seq_cli.inference.loading import load_decoder, load_encoder, read_weights
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program.forward import Forward
from seq2seq_cli.training.program.loop import Loop, dropout_seed
from seq2seq_cli.training.program.network import Network

FIXED = TaskConfig(n_in=4, n_out=3, cardinality=9)
VARYING = TaskConfig(n_in="1-4", n_out=3, cardinality=9)

SOURCES = np.array([[1, 2, 3, 4], [8, 8, 5, 1], [7, 6, 2, 2]], np.int32)
TARGETS = np.array([[3, 2, 1], [5, 8, 8], [2, 6, 7]], np.int32)
PADDED = np.array([[1, 2, 3, 4], [8, 8, 0, 0], [7, 0, 0, 0]], np.int32)
ENDED = np.array([[3, 2, 1, 9], [8, 8, 9, 0], [7, 9, 0, 0]], np.int32)

QUICK = {
    "deadline": None, "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.generate),
}  # fmt: skip

MODELS = st.builds(
    ModelConfig,
    units=st.integers(1, 5),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    attention=st.sampled_from(["none", "dot"]),
    attention_radius=st.sampled_from([0, 1, 4]),
    embedding=st.sampled_from([0, 3]),
    dropout=st.sampled_from([0.0, 0.3]),
    token_dropout=st.sampled_from([0.0, 0.3]),
    recurrent_dropout=st.sampled_from([0.0, 0.3]),
    recurrent_dropout_in=st.sampled_from(["both", "encoder", "decoder"]),
)


def saved(model):
    """Return a model's file, and the model that plain Keras loads from it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        return file.read_bytes(), keras.models.load_model(file)


def encode(config, ids, width, padded):
    if config.model.embedding:
        return tf.constant(ids)
    one_hot = np.eye(width, dtype=np.float32)
    if padded:
        one_hot[0] = 0
    return tf.constant(one_hot[ids])


@settings(max_examples=8, derandomize=True, **QUICK)
@given(model=MODELS, varies=st.booleans(), scale=st.sampled_from([0.5, 2.0]))
def test_numpy_inference_is_that_of_the_saved_keras_models(model, varies, scale):
    config = RunConfig(task=VARYING if varies else FIXED, model=model)
    sources, targets = (PADDED, ENDED) if varies else (SOURCES, TARGETS)
    task, vocabulary = config.task, Vocabulary.of(config.task)
    models = build_models(config)
    generator = np.random.default_rng(1)
    for weight in models[0].trainable_variables:
        weight.assign(generator.normal(0, scale, weight.shape))
    train = saved(models[0])[1]
    encoder_file, encoder = saved(models[1])
    decoder_file, decoder = saved(models[2])
    source = encode(config, sources, task.cardinality, varies)
    shifted = encode(config, shift_right(targets), vocabulary.n_features, False)
    expected = np.asarray(train([source, shifted]))
    states = [np.asarray(array) for array in encoder(source)]  # without Keras' mask
    architecture = Architecture.of(config)
    network = LoadedRun(
        type("Run", (), {"config": config})(),
        load_encoder(
            architecture, read_weights(encoder_file, "encoder", architecture.encoder_layers)
        ),
        load_decoder(
            architecture, read_weights(decoder_file, "decoder", architecture.decoder_layers)
        ),
    )
    ours = network.encoder(np.asarray(source))
    n_attended = (1 + bool(model.attention_radius)) * (model.attention == "dot")
    assert len(ours) == len(states) == 2 * model.layers + n_attended
    for first, second in zip(ours, states, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    after = network.decoder([np.asarray(shifted), *ours])
    theirs = decoder([np.asarray(shifted), *states])
    # Large weights magnify the states' rounding: up to 2.4e-5 with three layers.
    near = {0.5: 1e-5, 2.0: 1e-4}[scale]
    for first, second in zip(after, theirs, strict=True):
        np.testing.assert_allclose(first, second, atol=near)
    np.testing.assert_allclose(after[0], expected, atol=near)
    # Tokens: greedy decoding is the teacher-forced model on its own tokens.
    limit = 4 if varies else 3
    decoded = greedy(network, sources, limit, targets, attention=True)
    predicted = decoded.tokens
    again = encode(config, shift_right(predicted), vocabulary.n_features, False)
    again = np.asarray(train([source, again]))
    for row, tokens in enumerate(predicted):
        n = len(np.trim_zeros(tokens, "b")) if varies else 3
        np.testing.assert_array_equal(tokens[:n], again[row, :n, 1:].argmax(axis=-1) + 1)
        if varies and vocabulary.end in tokens:
            assert (tokens[tokens.tolist().index(vocabulary.end) + 1 :] == 0).all()
    real = targets != 0
    expected_logs = np.log(np.take_along_axis(expected, targets[..., None], axis=2)[..., 0])
    np.testing.assert_allclose(decoded.likelihoods[real], expected_logs[real], atol=1e-3)
    if decoded.attention is not None:
        weights = decoded.attention[:, 0].sum(axis=1)
        np.testing.assert_allclose(weights, 1, atol=1 if model.attention_radius else 1e-5)
        assert (decoded.attention[:, 0][sources == 0] == 0).all()
    # Predicting twice gives the same bits: dropout is for training only.
    for array, second in zip(ours, network.encoder(np.asarray(source)), strict=True):
        np.testing.assert_array_equal(array, second)


GRADIENTS = [
    {},
    {"layers": 3, "embedding": 3},
    {"attention": "dot", "attention_radius": 0, "bidirectional": True},
    {"layers": 2, "bidirectional": True, "embedding": 3, "attention": "dot"},
]


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("variant", GRADIENTS, ids=lambda variant: "-".join(variant) or "plain")
def test_the_forward_pass_and_its_gradients_are_those_of_the_keras_model(variant, varies):
    config = RunConfig(task=VARYING if varies else FIXED, model=ModelConfig(units=3, **variant))
    sources, targets = (PADDED, ENDED) if varies else (SOURCES, TARGETS)
    train = build_models(config)[0]
    generator = np.random.default_rng(1)
    for weight in train.trainable_variables:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    forward = Forward(train, config)
    weights = [variable.value for variable in train.trainable_variables]
    source = encode(config, sources, config.task.cardinality, varies)
    shifted = encode(config, shift_right(targets), Vocabulary.of(config.task).n_features, False)
    real = tf.cast(targets != 0, tf.float32)
    with tf.GradientTape() as tape:
        logits = forward.logits(weights, tf.constant(sources), tf.constant(shift_right(targets)))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        loss = tf.reduce_sum(losses * real)
    ours = tape.gradient(loss, weights)
    with tf.GradientTape() as tape:
        probabilities = train([source, shifted])
        expected = tf.reduce_sum(
            keras.losses.sparse_categorical_crossentropy(targets, probabilities) * real
        )
    theirs = tape.gradient(expected, weights)
    np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, atol=1e-5)
    for first, second in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(first), tf.convert_to_tensor(second), atol=2e-4
        )


HARD = ModelConfig(units=8, layers=2, bidirectional=True, attention="dot", embedding=5,
                   dropout=0.2, token_dropout=0.2, recurrent_dropout=0.2)  # fmt: skip
FULL = ModelConfig(units=8, attention="dot")


@pytest.mark.parametrize(("task", "model"), [(VARYING, HARD), (FIXED, FULL)])
def test_variants_learn_and_their_bits_do_not_depend_on_the_calls(task, model):
    sources, targets = (PADDED, ENDED) if task.has_end else (SOURCES, TARGETS)
    sources, targets = np.tile(sources, (11, 1))[:32], np.tile(targets, (11, 1))[:32]
    config = RunConfig(task=task, model=model, training=TrainingConfig(batch_size=4, n_samples=32))
    loop = Loop(build_models(config)[0], config)
    weights, ends = loop.state.weights, []
    for calls in ([(0, 8)], [(0, 3), (3, 4), (4, 8)]):
        loop.restart(weights, seed=0)
        losses = []
        for start, stop in calls:
            rows, rates = slice(start * 4, stop * 4), np.full(stop - start, 0.01, np.float32)
            losses.append(loop.train(sources[rows], targets[rows], rates).loss)
        ends.append(b"".join(array.tobytes() for array in loop.state.weights))
    assert losses[-1] < losses[0]
    assert loop.traces == 1
    assert ends[0] == ends[1]


def test_dropout_follows_the_seed_and_the_step():
    config = RunConfig(task=FIXED, model=HARD)
    train = build_models(config)[0]
    forward = Forward(train, config)
    weights = [variable.value for variable in train.trainable_variables]
    batch = (weights, tf.constant(SOURCES), tf.constant(shift_right(TARGETS)))

    def logits(step, seed=0):
        chance = () if step is None else (tf.constant(step), tf.constant(seed))
        return np.asarray(forward.logits(*batch, *chance))

    np.testing.assert_array_equal(logits(3), logits(3))
    np.testing.assert_array_equal(logits(None), logits(None))
    assert not np.array_equal(logits(3), logits(4))
    assert not np.array_equal(logits(3), logits(None))
    assert not np.array_equal(logits(3), logits(3, seed=9))


def test_consecutive_seeds_share_no_dropout_mask():
    masks = []
    for seed in range(3):
        seed_tensor = tf.constant(dropout_seed(seed), tf.int64)
        network = Network({}, ModelConfig(dropout=0.5), tf.constant(1), seed_tensor)
        masks += [network._drop(tf.ones((8, 8)), 0.5).numpy().tobytes() for _ in range(3)]
    assert len(set(masks)) == 9


@pytest.mark.parametrize("embedding", [0, 5])
def test_a_dropped_token_is_not_seen(embedding):
    """Each step of this decoder without memory sees its own token or none."""
    model = ModelConfig(units=8, embedding=embedding, token_dropout=0.5)
    config = RunConfig(task=FIXED, model=model)
    train = build_models(config)[0]
    for variable in (train.get_layer("decoder_lstm").cell.recurrent_kernel,
                     train.get_layer("encoder_lstm").cell.kernel):  # fmt: skip
        variable.assign(np.zeros(variable.shape))
    weights = [variable.value for variable in train.trainable_variables]
    first = [1, 2, 3, 4, 5, 6, 7, 8] * 8
    shifted = tf.constant(np.array(first, np.int32)[:, np.newaxis])
    batch = (weights, tf.constant(np.tile(SOURCES[:1], (len(first), 1))), shifted)
    logits = np.asarray(Forward(train, config).logits(*batch, tf.constant(1), tf.constant(0)))[:, 0]
    seen = {token: {tuple(row.round(5)) for row, t in zip(logits, first, strict=True) if t == token}
            for token in range(1, 9)}  # fmt: skip
    assert all(len(rows) == 2 for rows in seen.values())
    assert len(set.intersection(*seen.values())) == 1


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_recurrent_dropout_is_in_the_named_lstms(part):
    model = ModelConfig(units=8, recurrent_dropout=0.5, recurrent_dropout_in=part)
    config = RunConfig(task=FIXED, model=model)
    train = build_models(config)[0]
    lstms = {name: train.get_layer(f"{name}_lstm") for name in ("encoder", "decoder")}
    rates = {name: lstm.recurrent_dropout for name, lstm in lstms.items()}
    assert rates == {"encoder": 0.0, "decoder": 0.0} | {part: 0.5}

    def logits(*chance):
        weights = [variable.value for variable in train.trainable_variables]
        batch = (weights, tf.constant(SOURCES), tf.constant(shift_right(TARGETS)))
        return np.asarray(Forward(train, config).logits(*batch, *chance))

    once = tf.constant(1), tf.constant(0)
    assert not np.allclose(logits(*once), logits())
    recurrent = lstms[part].cell.recurrent_kernel
    recurrent.assign(np.zeros(recurrent.shape))
    np.testing.assert_allclose(logits(*once), logits(), atol=1e-6)


def test_padding_changes_no_loss():
    config = RunConfig(task=VARYING, model=FULL.model_copy(update={"bidirectional": True}))
    train = build_models(config)[0]
    forward, weights = Forward(train, config), [x.value for x in train.trainable_variables]

    def losses(width):
        ids = [np.pad(array, ((0, 0), (0, width))) for array in (PADDED, ENDED)]
        batch = [tf.constant(array) for array in (ids[0], shift_right(ids[1]), ids[1])]
        return forward.scores(weights, *batch, None, None)[0].numpy()[:, :4]

    np.testing.assert_allclose(losses(0), losses(3), atol=1e-6)


def test_a_training_starts_from_its_pretrained_embedding(tmp_path):
    table = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    path = tmp_path / "table.npy"
    np.save(path, table)
    model = ModelConfig(units=3, embedding=5, pretrained_embedding=str(path))
    for task in (FIXED, VARYING):
        plan = prepare(RunConfig(task=task, model=model))
        train = build_models(plan.config, plan.embedding)[0]
        for name in ("source_embedding", "target_embedding"):
            np.testing.assert_array_equal(train.get_layer(name).embeddings[:9], table)


def test_saved_models_hold_stock_layers_only():
    config = RunConfig(task=VARYING, model=HARD)
    for model in build_models(config):
        with zipfile.ZipFile(BytesIO(saved(model)[0])) as archive:
            document = json.loads(archive.read("config.json"))
        modules = {layer["module"] for layer in document["config"]["layers"]}
        assert all(module.startswith("keras.") for module in modules)
