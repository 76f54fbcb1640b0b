"""Sequences as text, and the lines that they are in."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.data.text import Lines, iterate_sequences, parse_sequence
from seq2seq_cli.errors import DataError

steady = settings(derandomize=True, deadline=None, max_examples=60)

SEQUENCES = st.lists(st.integers(1, 999_999), min_size=1, max_size=12)


@steady
@given(
    SEQUENCES,
    st.sampled_from([" ", ",", ", ", "\t", "  ", " ,\n", " , "]),
    st.sampled_from(["{}", "[{}]", "({})", " {} ", "{}\r\n", "[ {} ]", "{},", "+{}", "00{}"]),
)
def test_parsing_returns_what_was_formatted(sequence, separator, form):
    text = form.format(separator.join(map(str, sequence)))
    assert parse_sequence(text, 1_000_000) == sequence


@pytest.mark.parametrize("text", ["", "  ", "\n", "[]", ",", " , ,"])
def test_empty_sequence_is_refused(text):
    with pytest.raises(DataError, match="empty"):
        parse_sequence(text, 51)


@pytest.mark.parametrize(
    "word", ["x", "1.5", "1e3", "0x1", "1_0", "3;4", "1-2", "+", "--1", "٣", "1\u20032", "9" * 19]
)
def test_a_word_that_is_not_an_integer_is_named(word):
    with pytest.raises(DataError) as caught:
        parse_sequence(f"1 {word} 2", 51)
    assert f"{word!r} is not an integer" in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 51, 2**32 + 1, 10**17])
def test_value_outside_the_vocabulary_is_named_with_its_range(value):
    with pytest.raises(DataError, match=rf"^{value} .*1 to 50"):
        parse_sequence(f"1 {value} 2", 51)


@steady
@given(st.text(max_size=30) | st.text("0123456789 ,[]()+-\n", max_size=30))
def test_any_text_is_parsed_to_values_or_refused(text):
    try:
        sequence = parse_sequence(text, 51)
    except DataError:
        return
    assert sequence
    assert all(type(value) is int and 1 <= value <= 50 for value in sequence)


def test_sequences_are_read_line_by_line_and_blank_ones_have_none():
    lines = enumerate(["1 2", "", "  ", "3,4"], 1)
    assert list(iterate_sequences(lines, "input", 51)) == [[1, 2], None, None, [3, 4]]


def test_bad_line_is_named_after_the_good_ones_were_yielded():
    sequences = iterate_sequences(enumerate(["1", "", "2 x"], 1), "standard input", 51)
    assert [next(sequences), next(sequences)] == [[1], None]
    with pytest.raises(DataError, match=r"^standard input, line 3: 'x'"):
        next(sequences)


def test_sequences_are_yielded_before_the_next_line_is_read():
    read = []

    def lines():
        for number in range(1, 4):
            read.append(number)
            yield number, str(number)

    sequences = iterate_sequences(lines(), "input", 51)
    for number in range(1, 4):
        assert next(sequences) == [number]
        assert read == list(range(1, number + 1))


def read_text(content):
    return list(Lines(io.BytesIO(content), "text"))


def test_lines_have_no_ends_and_no_byte_order_mark():
    assert read_text(b"\xef\xbb\xbf1 2\r\n\n3") == [(1, "1 2"), (2, ""), (3, "3")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1\n2".encode("utf-16"), "line 1: UTF-16 text"),
        ("1 2\n".encode("utf-16-le"), "line 1: a NUL byte"),
        (b"\x1f\x8b\x08\x00", "line 1: compressed with gzip"),
        (b"1 2\r3 4\r", "line 1: a carriage return"),
        (b"1\n\xe4", r"line 2: not UTF-8 text \(byte 0xe4\)"),
        (b"1\n" + b"1 " * 2**23 + b"1", "line 2: longer than 16,777,216 bytes"),
    ],
)
def test_text_that_cannot_be_read_is_named_with_its_line(content, reason):
    with pytest.raises(DataError, match=f"^text, {reason}"):
        read_text(content)


@pytest.mark.parametrize("line", ["1,2,3", "1, 2, 3", "1 2 3", "1\t2\t3"])
@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.txt", "standard input"])
def test_a_line_of_integers_is_a_sequence_in_any_file(name, line):
    lines = [(1, line), (2, ""), (3, "4")]
    assert list(iterate_sequences(lines, name, 9)) == [[1, 2, 3], None, [4]]


@pytest.mark.parametrize(
    ("name", "line"),
    [("a.csv", "1 2 3,3 2"), ("a.CSV", '"1 2 3","3"'), ("a.csv", "source,target"),
     ("a.tsv", "1 2 3\t3"), ("a.tsv", "source\ttarget"), ("a.csv", "1 2 3,")],
)  # fmt: skip
def test_pairs_are_not_read_as_sequences(name, line):
    with pytest.raises(DataError, match=rf"^{name}, line 2: a pair: .* without a target$"):
        list(iterate_sequences([(1, "4"), (2, line)], name, 9))
