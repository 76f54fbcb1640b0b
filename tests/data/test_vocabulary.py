import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.data.vocabulary import (
    START,
    check_ids,
    lengths,
    one_hot_decode,
    one_hot_encode,
    pad,
    shift_right,
    unpad,
)
from seq2seq_cli.errors import DataError

steady = settings(derandomize=True, deadline=None, max_examples=60)


@st.composite
def id_arrays(draw):
    cardinality = draw(st.integers(2, 40))
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    ids = draw(
        st.lists(
            st.integers(0, cardinality - 1),
            min_size=int(np.prod(shape)),
            max_size=int(np.prod(shape)),
        )
    )
    return np.reshape(ids, shape).astype(np.int32), cardinality


@steady
@given(id_arrays())
def test_decoding_returns_what_was_encoded(example):
    ids, cardinality = example
    encoded = one_hot_encode(ids, cardinality)
    decoded = one_hot_decode(encoded)
    assert encoded.shape == (*ids.shape, cardinality)
    assert encoded.dtype == np.float32
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, ids)


def test_encoding_of_a_known_sequence():
    np.testing.assert_array_equal(
        one_hot_encode([2, 0, 1], 4), [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    )


def test_decoding_probabilities_takes_the_largest():
    np.testing.assert_array_equal(one_hot_decode([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]]), [1, 0])


@pytest.mark.parametrize("wrong", [[], [1, 2], [[], []], [[1, 2], [3]], [["a"]], None, 5])
def test_what_is_not_one_hot_is_refused(wrong):
    with pytest.raises(DataError, match=r"steps, cardinality\)$|differ in length"):
        one_hot_decode(wrong)
    with pytest.raises(DataError, match="differ in length"):
        one_hot_encode([[1, 2], [3]], 5)


@pytest.mark.parametrize("wrong", [-1, 5, 2**32 + 1])
def test_encoding_names_an_id_outside_the_vocabulary(wrong):
    with pytest.raises(DataError, match=rf"^{wrong} is not a value.*0 to 4"):
        one_hot_encode([1, wrong, 2], 5)


@pytest.mark.parametrize("wrong", [1.0, True, "1", None, float("nan")])
def test_ids_are_integers_only(wrong):
    with pytest.raises(DataError, match="is not an integer"):
        check_ids([wrong], 5)


def test_values_exclude_the_reserved_id_unless_it_is_allowed():
    with pytest.raises(DataError, match=r"^0 is not a value.*1 to 4"):
        check_ids([1, 0], 5)
    np.testing.assert_array_equal(check_ids([1, 0], 5, lowest=0), [1, 0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_ids_of_any_integer_type_become_int32(dtype):
    checked = check_ids(np.array([[1, 4]], dtype), 5)
    assert checked.dtype == np.int32
    np.testing.assert_array_equal(checked, [[1, 4]])


def test_shifting_puts_start_first_and_drops_the_last():
    targets = np.array([[3, 2, 1], [6, 5, 4]], np.int32)
    shifted = shift_right(targets)
    np.testing.assert_array_equal(shifted, [[START, 3, 2], [START, 6, 5]])
    np.testing.assert_array_equal(targets, [[3, 2, 1], [6, 5, 4]])
    assert shifted.dtype == np.int32


@steady
@given(st.lists(st.lists(st.integers(1, 999_999), min_size=1), min_size=1, max_size=6))
def test_unpadding_returns_what_was_padded(sequences):
    padded = pad(sequences)
    assert padded.dtype == np.int32
    assert padded.shape == (len(sequences), max(map(len, sequences)))
    assert list(unpad(padded)) == sequences
    assert lengths(padded).tolist() == list(map(len, sequences))
