"""Where sequences come from: lengths that vary, and pairs of one's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.config import RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.files import hash_data, read_pairs
from seq2seq_cli.owndata import describe
from seq2seq_cli.pairs import Pairs, ragged
from seq2seq_cli.sampling import Split, draw_pairs, held_out
from seq2seq_cli.streams import GivenStream, OwnStream, held_out_rows, open_stream, split_pairs
from seq2seq_cli.vocabulary import PADDING

SEQUENCES = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=7), min_size=1, max_size=20)
VARYING = TaskConfig(name="sort", n_in="2-5", cardinality=30)


@settings(deadline=None)
@given(SEQUENCES)
def test_ragged_sequences_come_back_padded(sequences):
    rows = ragged(sequences)
    padded = rows.padded(np.arange(len(sequences))[::-1], rows.longest + 1)
    assert padded.shape[1] == rows.longest + 1
    for row, sequence in zip(padded, sequences[::-1], strict=True):
        assert row.tolist() == sequence + [0] * (len(row) - len(sequence))
    assert rows.lengths.tolist() == [len(sequence) for sequence in sequences]


def test_varying_lengths_are_uniform_and_targets_end():
    sources, targets = draw_pairs(VARYING, Split.TRAIN, 3, 100, 4000)
    assert sources.shape == (4000, 5)
    assert targets.shape == (4000, 6)
    lengths = (sources != PADDING).sum(axis=1)
    counts = np.bincount(lengths)
    # Short sources are held out in the same share, so all lengths stay alike.
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


def test_padding_does_not_decide_what_is_held_out():
    sources, _ = draw_pairs(VARYING, Split.TRAIN, 0, 0, 1000)
    wider = np.pad(sources, ((0, 0), (0, 9)))
    for own in (False, True):
        np.testing.assert_array_equal(held_out(sources, own), held_out(wider, own))


def own_pairs(n=800, seed=0):
    generator = np.random.default_rng(seed)
    sources = [generator.integers(1, 20, generator.integers(1, 6)).tolist() for _ in range(n)]
    return Pairs(ragged(sources), ragged([source[::-1] for source in sources]))


TASK = TaskConfig(n_in="1-5", n_out=5, cardinality=20, data="own.csv")


def own_stream(pairs, validation=None, seed=0):
    return OwnStream(split_pairs(pairs, validation, "pairs.csv"), TASK, seed)


def keys(sources):
    return {tuple(row) for row in sources.tolist()}


def test_own_pairs_are_shuffled_anew_in_each_pass_and_all_seen_once():
    pairs = own_pairs()
    stream = own_stream(pairs, seed=1)
    n = stream.size(Split.TRAIN)
    assert n + stream.size(Split.VALIDATION) == len(pairs)
    passes = [stream.draw(Split.TRAIN, start, n) for start in (0, n)]
    assert not np.array_equal(passes[0][0], passes[1][0])
    for sources, targets in passes:
        rows = sorted(map(tuple, sources.tolist()))
        assert rows == sorted(map(tuple, pairs.sources.padded(np.flatnonzero(
            ~held_out_rows(pairs)), 5).tolist()))  # fmt: skip
        for source, target in zip(sources, targets, strict=True):
            values = [value for value in source.tolist() if value]
            assert target.tolist() == values[::-1] + [20] + [0] * (5 - len(values))
    across = stream.draw(Split.TRAIN, n - 3, 6)[0]
    np.testing.assert_array_equal(across, np.concatenate([passes[0][0][-3:], passes[1][0][:3]]))
    other = own_stream(pairs, seed=2).draw(Split.TRAIN, 0, n)[0]
    assert not np.array_equal(other, passes[0][0])


def test_equal_sources_never_straddle_the_split():
    doubled = own_pairs()
    values = [doubled.sources.padded(np.array([row]))[0] for row in range(len(doubled))]
    lists = [[int(v) for v in row if v] for row in values] * 2
    stream = own_stream(Pairs(ragged(lists), ragged(lists)))
    train = keys(stream.draw(Split.TRAIN, 0, stream.size(Split.TRAIN))[0])
    held = keys(stream.draw(Split.VALIDATION, 0, stream.size(Split.VALIDATION))[0])
    assert train
    assert held
    assert not train & held


def test_generated_pairs_can_be_split_though_none_of_them_is_held_out():
    task = TaskConfig(n_in="1-5", cardinality=20)
    sources, _ = draw_pairs(task, Split.TRAIN, 0, 0, 2000)
    lists = [[int(v) for v in row if v] for row in sources]
    share = held_out_rows(Pairs(ragged(lists), ragged(lists))).mean()
    assert 0.03 < share < 0.1


def test_validation_data_is_validated_on():
    stream = own_stream(own_pairs(50), own_pairs(9, seed=5))
    assert (stream.size(Split.TRAIN), stream.size(Split.VALIDATION)) == (50, 9)
    assert stream.draw(Split.VALIDATION, 0, 9)[0].shape == (9, 5)


def test_too_few_pairs_to_hold_some_out_are_refused():
    with pytest.raises(DataError, match=r"few\.csv: 1 pairs leave none for .*--validation-data"):
        split_pairs(Pairs(ragged([[1]]), ragged([[1]])), None, "few.csv")


def test_given_pairs_keep_their_order():
    stream = GivenStream(own_pairs(20), TASK)
    sources, targets = stream.draw(Split.TEST, 4, 3)
    np.testing.assert_array_equal(sources, own_pairs(20).sources.padded(np.arange(4, 7)))
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
    config, report = describe(config_for("own.csv"), set())
    assert (config.task.n_in, config.task.n_out, config.task.cardinality) == (2, 2, 18)
    assert config.task.varies
    assert report.pairs == 137
    assert report.training + report.validation == 137
    assert config.training.n_samples == report.training
    assert report.duplicates == 1
    assert report.values == (1, 17)
    kept = describe(config_for("own.csv", cardinality=40), {"task.cardinality"})[0]
    assert kept.task.cardinality == 40
    with pytest.raises(ConfigurationError, match="task.cardinality = 10.*at least 18"):
        describe(config_for("own.csv", cardinality=10), {"task.cardinality"})


def test_pairs_in_both_files_are_counted(files):
    report = describe(config_for("own.csv", "own.tsv"), set())[1]
    assert report.in_both == 136


def test_all_formats_hold_the_same_pairs(files):
    first, *others = (read_pairs(name) for name in ("own.tsv", "own.src,own.tgt", "own.csv"))
    for pairs in others:
        rows = np.arange(136)
        np.testing.assert_array_equal(pairs.sources.padded(rows), first.sources.padded(rows))
        np.testing.assert_array_equal(pairs.targets.padded(rows), first.targets.padded(rows))


def test_parallel_files_of_different_lengths_are_named(files):
    with (files / "own.tgt").open("a") as file:
        file.write("\n1 2\n")
    with pytest.raises(DataError, match="line 137: own.tgt has this line and own.src does not"):
        read_pairs("own.src,own.tgt")
    (files / "own.src").write_text("1 x\n" + "2\n" * 136)
    with pytest.raises(DataError, match="line 1: 'x' is not an integer"):
        read_pairs("own.src,own.tgt")


def test_a_changed_file_is_refused(files):
    config = describe(config_for("own.csv"), set())[0]
    open_stream(config)
    assert hash_data("own.csv") == config.task.data_sha256
    (files / "own.csv").write_text("1 2,2 1\n")
    with pytest.raises(ConfigurationError, match="is not the one that the run was begun with"):
        open_stream(config)
