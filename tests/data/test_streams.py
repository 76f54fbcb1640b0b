"""Streams: lengths that vary, and custom pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splits import held_out

from seq2seq_cli.config import Lengths, ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data import plan, sampling
from seq2seq_cli.data.files import read_pairs
from seq2seq_cli.data.pairs import Pairs, RaggedBuilder, from_padded
from seq2seq_cli.data.plan import open_stream, prepare
from seq2seq_cli.data.sampling import SourceSpace, Split, hash_ragged, hash_sequences, split_codes
from seq2seq_cli.data.streams import (
    CustomStream,
    GeneratedStream,
    GivenStream,
    split_pairs,
)
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.data.vocabulary import PADDING
from seq2seq_cli.errors import ConfigurationError, DataError

SEQUENCES = st.lists(st.lists(st.integers(1, 99), max_size=7), min_size=1, max_size=20)
VARYING = TaskConfig(name="sort", n_in="2-5", cardinality=30)


def ragged(sequences):
    builder = RaggedBuilder()
    for sequence in sequences:
        builder.append(sequence)
    return builder.build()


def draw_pairs(config, split, seed, start, n):
    return GeneratedStream(find_task(config), config, seed).draw(split, start, n)


@settings(deadline=None)
@given(SEQUENCES)
def test_ragged_sequences_come_back_padded(sequences):
    rows = ragged(sequences)
    padded = rows.padded(np.arange(len(sequences))[::-1], rows.longest + 1)
    assert padded.shape[1] == rows.longest + 1
    for row, sequence in zip(padded, sequences[::-1], strict=True):
        assert row.tolist() == sequence + [0] * (len(row) - len(sequence))
    assert rows.lengths.tolist() == [len(sequence) for sequence in sequences]
    again = from_padded(rows.padded(np.arange(len(sequences)), rows.longest))
    assert again.values.tolist() == rows.values.tolist()
    assert again.offsets.tolist() == rows.offsets.tolist()
    np.testing.assert_array_equal(hash_ragged(rows), hash_sequences(padded)[::-1])


def test_a_sequence_that_is_too_long_is_never_cut():
    with pytest.raises(DataError, match="a sequence of 5 integers is longer than 2"):
        ragged([[1], [3, 4, 5, 6, 7]]).padded(np.arange(2), 2)


def test_varying_lengths_are_uniform_and_targets_end():
    sources, targets = draw_pairs(VARYING, Split.TRAIN, 3, 100, 4000)
    assert sources.shape == (4000, 5)
    assert targets.shape == (4000, 6)
    lengths = (sources != PADDING).sum(axis=1)
    counts = np.bincount(lengths)
    # Short sources are held out in the same share, so all lengths stay equally frequent.
    assert counts[:2].sum() == 0
    assert (abs(counts[2:] / 4000 - 0.25) < 0.05).all()
    for source, target, n in zip(sources, targets, lengths, strict=True):
        assert (source[n:] == PADDING).all()
        assert target.tolist() == [*sorted(source[:n]), 30] + [0] * (5 - n)


def test_varying_streams_are_disjoint_and_made_again_from_any_row():
    sources, targets = draw_pairs(VARYING, Split.TRAIN, 3, 0, 3000)
    again = draw_pairs(VARYING, Split.TRAIN, 3, 1100, 7)
    np.testing.assert_array_equal(again[0], sources[1100:1107])
    np.testing.assert_array_equal(again[1], targets[1100:1107])
    assert not held_out(sources).any()
    assert held_out(draw_pairs(VARYING, Split.TEST, 3, 0, 500)[0]).all()


def custom_codes(pairs):
    return split_codes(hash_ragged(pairs.sources), custom=True)


def custom_pairs(n=800, seed=0):
    generator = np.random.default_rng(seed)
    sources = [generator.integers(1, 20, generator.integers(1, 6)).tolist() for _ in range(n)]
    return Pairs(ragged(sources), ragged([source[::-1] for source in sources]))


TASK = TaskConfig(n_in="1-5", n_out=5, cardinality=20, data="own.csv")


def custom_stream(pairs, validation=None, seed=0):
    return CustomStream(split_pairs(pairs, validation, "pairs.csv"), TASK, seed)


def keys(sources):
    return {tuple(row) for row in sources.tolist()}


def test_custom_pairs_are_shuffled_anew_in_each_pass_and_all_seen_once():
    pairs = custom_pairs()
    stream = custom_stream(pairs, seed=1)
    n = stream.size(Split.TRAIN)
    assert n + stream.size(Split.VALIDATION) == len(pairs)
    passes = [stream.draw(Split.TRAIN, start, n) for start in (0, n)]
    assert not np.array_equal(passes[0][0], passes[1][0])
    for sources, targets in passes:
        rows = sorted(map(tuple, sources.tolist()))
        assert rows == sorted(map(tuple, pairs.sources.padded(np.flatnonzero(
            custom_codes(pairs) == 0), 5).tolist()))  # fmt: skip
        for source, target in zip(sources, targets, strict=True):
            values = [value for value in source.tolist() if value]
            assert target.tolist() == values[::-1] + [20] + [0] * (5 - len(values))
    across = stream.draw(Split.TRAIN, n - 3, 6)[0]
    np.testing.assert_array_equal(across, np.concatenate([passes[0][0][-3:], passes[1][0][:3]]))
    other = custom_stream(pairs, seed=2).draw(Split.TRAIN, 0, n)[0]
    assert not np.array_equal(other, passes[0][0])


def test_equal_sources_never_straddle_the_split():
    doubled = custom_pairs()
    values = doubled.sources.padded(np.arange(len(doubled)), 5)
    lists = [[int(v) for v in row if v] for row in values] * 2
    stream = custom_stream(Pairs(ragged(lists), ragged(lists)))
    train = keys(stream.draw(Split.TRAIN, 0, stream.size(Split.TRAIN))[0])
    held = keys(stream.draw(Split.VALIDATION, 0, stream.size(Split.VALIDATION))[0])
    assert train
    assert held
    assert not train & held


def test_generated_pairs_can_be_split_though_none_of_them_is_held_out():
    task = TaskConfig(n_in="1-5", cardinality=20)
    sources, _ = draw_pairs(task, Split.TRAIN, 0, 0, 2000)
    lists = [[int(v) for v in row if v] for row in sources]
    share = (custom_codes(Pairs(ragged(lists), ragged(lists))) > 0).mean()
    assert 0.03 < share < 0.1


def test_validation_data_is_validated_on_and_reported():
    stream = custom_stream(custom_pairs(50), custom_pairs(9, seed=5))
    assert [stream.size(split) for split in Split] == [50, 9, 9]
    assert stream.draw(Split.VALIDATION, 0, 9)[0].shape == (9, 5)


def test_large_validation_data_is_halved():
    """Validations choose the weights, so the report is on other pairs."""
    held_out = custom_pairs(3000, seed=5)
    stream = custom_stream(custom_pairs(50), held_out)
    sizes = [stream.size(split) for split in (Split.VALIDATION, Split.TEST)]
    assert sum(sizes) == 3000
    watched, reported = (
        keys(stream.draw(split, 0, size)[0])
        for split, size in zip((Split.VALIDATION, Split.TEST), sizes, strict=True)
    )
    assert not watched & reported
    assert stream.size(Split.TRAIN) == 50


def test_too_few_pairs_to_hold_some_out_are_refused():
    with pytest.raises(DataError, match=r"few\.csv: 1 pairs leave none for .*task.validation_data"):
        split_pairs(Pairs(ragged([[1]]), ragged([[1]])), None, "few.csv")


def test_given_pairs_keep_their_order():
    stream = GivenStream(custom_pairs(20), TASK)
    sources, targets = stream.draw(Split.TEST, 4, 3)
    np.testing.assert_array_equal(sources, custom_pairs(20).sources.padded(np.arange(4, 7), 5))
    assert (targets == 20).sum() == 3


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{a} {b},{b} {a}" for a in range(1, 18) for b in range(1, 9)]
    (tmp_path / "own.csv").write_text("source,target\n" + "\n".join([*lines, lines[0]]))
    (tmp_path / "own.tsv").write_text("\n".join(lines).replace(",", "\t"))
    (tmp_path / "own.src").write_text("\n".join(line.split(",")[0] for line in lines))
    (tmp_path / "own.tgt").write_text("\n".join(line.split(",")[1] for line in lines))
    return tmp_path


def config_for(data, validation="", **settings):
    task = TaskConfig(data=data, validation_data=validation, **settings)
    return RunConfig(task=task, training=TrainingConfig(seed=1))


def test_the_data_settles_lengths_cardinality_and_the_epoch(files):
    plan = prepare(config_for("own.csv"))
    config, report = plan.config, plan.report
    assert (config.task.n_in, config.task.n_out, config.task.cardinality) == (2, 2, 18)
    assert config.task.has_end
    assert report.pairs == 137
    assert report.training + report.validation == 137
    assert config.training.n_samples == report.training
    assert report.duplicates == 1
    assert report.values == (1, 17)
    assert prepare(config_for("own.csv", "own.tsv")).report.in_both == 136
    assert prepare(config_for("own.csv", cardinality=40)).config.task.cardinality == 40
    with pytest.raises(ConfigurationError, match="task.cardinality = 10.*at least 18"):
        prepare(config_for("own.csv", cardinality=10))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"n_in": 6}, "task.n_in = 6: that of own.csv is 2: remove it"),
        ({"n_in": "1-2"}, "task.n_in = '1-2'"),
        ({"n_out": 3}, "task.n_out = 3: that of own.csv is 2"),
        ({"name": "copy"}, "task.name = 'copy': task.data is set too"),
        ({"end_of_sequence": False}, "need their end"),
    ],
)
def test_settings_that_the_data_has_are_refused(files, settings, named):
    with pytest.raises(ValueError if "need" in named else ConfigurationError, match=named):
        prepare(config_for("own.csv", **settings))


def test_custom_targets_may_be_empty_but_not_all_of_them(files):
    lines = [f"{a} {b},{a if a < b else ''}" for a in range(1, 18) for b in range(1, 9)]
    (files / "own.csv").write_text("\n".join(lines))
    plan = prepare(config_for("own.csv"))
    assert plan.report.target_lengths == (0, 1)
    assert plan.config.task.n_out == 1
    _, targets = plan.stream.draw(Split.TRAIN, 0, 100)
    assert targets.shape == (100, 2)
    assert {18} < set(targets[:, 0])
    assert ((targets == 18).sum(axis=1) == 1).all()
    (files / "own.csv").write_text("\n".join(line.split(",")[0] + "," for line in lines))
    with pytest.raises(DataError, match="own.csv: all targets are empty"):
        prepare(config_for("own.csv"))


def test_settings_that_agree_with_the_data_are_accepted(files):
    settled = prepare(config_for("own.csv")).config
    assert prepare(settled).config == settled


def test_all_formats_hold_the_same_pairs(files):
    names = ("own.tsv", "own.src,own.tgt", "own.csv")
    first, *others = (read_pairs(name).pairs for name in names)
    for pairs in others:
        rows = np.arange(136)
        for side in ("sources", "targets"):
            ours, theirs = getattr(pairs, side), getattr(first, side)
            np.testing.assert_array_equal(ours.padded(rows, 2), theirs.padded(rows, 2))


def test_parallel_files_of_different_lengths_are_named(files):
    with (files / "own.tgt").open("a") as file:
        file.write("\n1 2\n")
    with pytest.raises(DataError, match="line 137: own.tgt has this line and own.src does not"):
        read_pairs("own.src,own.tgt")
    (files / "own.src").write_text("1 x\n" + "2\n" * 136)
    with pytest.raises(DataError, match="line 1: 'x' is not an integer"):
        read_pairs("own.src,own.tgt")


@pytest.mark.parametrize("changed", ["own.csv", "own.tsv"])
def test_a_changed_file_is_refused(files, changed):
    config = prepare(config_for("own.csv", "own.tsv")).config
    open_stream(config)
    (files / changed).write_text("1 2,2 1\n".replace(",", "," if changed == "own.csv" else "\t"))
    with pytest.raises(ConfigurationError, match=f"{changed}.*not the one that the run"):
        open_stream(config)


def test_data_that_has_moved_is_the_same_data(files):
    config = prepare(config_for("own.csv")).config
    (files / "own.csv").rename(files / "new.csv")
    task = config.task.model_copy(update={"data": "new.csv"})
    moved = prepare(config.model_copy(update={"task": task}), resumed=True)
    assert moved.config.task.data_sha256 == config.task.data_sha256


def test_each_file_is_read_once(files, monkeypatch):
    read = []
    monkeypatch.setattr(plan, "read_pairs", lambda name: (read.append(name), read_pairs(name))[1])
    prepare(config_for("own.csv", "own.tsv"))
    assert read == ["own.csv", "own.tsv"]


def test_a_pretrained_embedding_is_read_and_hashed_unless_a_training_is_resumed(files):
    np.save("table.npy", np.ones((51, 4)))
    model = ModelConfig(embedding=4, pretrained_embedding="table.npy")
    plan = prepare(RunConfig(model=model))
    assert plan.embedding.shape == (51, 4)
    assert len(plan.config.model.pretrained_embedding_sha256) == 64
    (files / "table.npy").unlink()
    assert prepare(plan.config, resumed=True).embedding is None


def test_custom_data_is_judged_by_a_sample_of_all_that_is_held_out():
    """Sorted by length, the first 10,000 held-out pairs would be the short ones only."""
    lengths = np.repeat(np.arange(1, 26), 2000)
    values = np.random.default_rng(0).integers(1, 50, lengths.sum())
    sequences = [row.tolist() for row in np.split(values, np.cumsum(lengths)[:-1])]
    pairs = Pairs(ragged(sequences), ragged(sequences))
    task = TaskConfig(n_in="1-25", n_out=25, cardinality=50, data="sorted.csv")
    streams = [CustomStream(split_pairs(pairs, None, "sorted.csv"), task, seed) for seed in (0, 1)]
    for split in (Split.VALIDATION, Split.TEST):
        sources, _ = streams[0].draw(split, 0, 500)
        assert set((sources != PADDING).sum(axis=1)) == set(range(1, 26))
        np.testing.assert_array_equal(sources, streams[1].draw(split, 0, 500)[0])


def test_validation_and_report_have_different_pairs_if_there_are_enough():
    stream = GeneratedStream(find_task(TaskConfig(n_in=4, n_out=2)), TaskConfig(n_in=4, n_out=2), 0)
    watched, reported = (keys(stream.draw(s, 0, 3000)[0]) for s in (Split.VALIDATION, Split.TEST))
    assert not watched & reported
    many = split_pairs(custom_pairs(40_000), None, "many.csv")
    assert not set(many[Split.VALIDATION].rows) & set(many[Split.TEST].rows)
    few = split_pairs(custom_pairs(800), None, "few.csv")
    np.testing.assert_array_equal(few[Split.VALIDATION].rows, few[Split.TEST].rows)


@pytest.mark.parametrize(("n_in", "cardinality"), [(4, 11), ("1-4", 11), (13, 2), ("1-3", 22)])
def test_each_held_out_source_of_a_small_space_occurs_once(n_in, cardinality):
    config = TaskConfig(name="copy", n_in=n_in, cardinality=cardinality)
    stream = GeneratedStream(find_task(config), config, 3)
    key_sets = []
    for split in (Split.VALIDATION, Split.TEST):
        n = stream.size(split)
        sources, _ = stream.draw(split, 0, n)
        assert len(keys(sources)) == len(sources) == n
        key_sets.append(keys(sources))
    space = SourceSpace.of(config)
    everything = space.enumerate(Split.TRAIN)
    if space.is_split:
        assert not key_sets[0] & key_sets[1]
        assert not (key_sets[0] | key_sets[1]) & keys(everything)
        assert (split_codes(hash_sequences(everything)) == 0).all()
        assert len(key_sets[0] | key_sets[1]) + len(everything) == space.size
    else:
        assert key_sets[0] == key_sets[1] == keys(everything)


def test_drawing_small_batches_draws_each_block_once(monkeypatch):
    """A thousand test sequences, drawn sixteen at a time, cost the draws of a thousand."""
    rows = []
    random = SourceSpace._random
    monkeypatch.setattr(SourceSpace, "_random", lambda self, generator, n: (
        rows.append(n), random(self, generator, n))[1])  # fmt: skip
    config = TaskConfig(n_in=100, n_out=10)
    stream = GeneratedStream(find_task(config), config, 0)
    for start in range(0, 1024, 16):
        stream.draw(Split.TEST, start, 16)
    assert sum(rows) < 1.5 * 1024 * 32
    rows.clear()
    stream.draw(Split.TEST, 5000, 10)
    assert sum(rows) < 4 * sampling.BLOCK


def test_an_evaluation_at_other_lengths_holds_out_what_the_run_does():
    config = TaskConfig(name="copy", n_in="1-25")
    space = SourceSpace.of(config, Lengths(2, 2))
    assert space.is_split
    stream = GeneratedStream(find_task(config), config, 0, space)
    assert held_out(stream.draw(Split.TEST, 0, stream.size(Split.TEST))[0]).all()
