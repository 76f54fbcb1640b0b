"""What a user may type, write into files and send: valid by grammar, then damaged.

A `Case` is a command line with the files beside it and what is on standard input. The options are
those of the command line itself, so that none is left out.
"""

import json
import random
from dataclasses import dataclass, field
from functools import cache

import typer

from seq2seq_cli.cli.app import COMMANDS, make_command
from seq2seq_cli.config import RunConfig
from seq2seq_cli.reports import RUN_CHARTS

NINES = "9" * 400

NUMBERS = (
    "0 -1 -0 00 +3 1.5 1e3 1e400 nan -inf 0x10 1_000 ٣ ² true abc 1-2 2-1 1-25 0-3 -3-4 2147483648 "
    f"9223372036854775808 99999999999999999 {NINES} {NINES}-{NINES} 0.{NINES} [] {{}} -- - , ' \" %"
).split()
NUMBERS += ["", " ", " 5 ", "5\n", "1\n2", "5 6", "\x1b[31m5", "\udcff", "é", "5" * 70_000]

TEXTS = ("a", "plain", "none", "dot", "dto", "both", "reverse", "sort", "custom.py:double", ":",
         "custom.py:", "custom.py:missing", "custom.py:wrong", "broken.py:f", "folder:f", "train",
         "test", "auto", "../a", "a/b", "/", "..", ".", "-", "a" * 300, "a\tb", "[red]a[/red]",
         "{}", "%s", "\u202eabc", "🙂")  # fmt: skip

FILES = ("missing", "folder", "loop", "zero", "empty", "name\nwith a line", "é", "a" * 300,
         "no/such/place", "config.toml/inside", "/proc/self/mem", "")  # fmt: skip

VALUES = ("1", "0.5", "true", '"a"', "a", "[]", "{}", "[1, 2]", "[[1]]", "1979-05-27", "07:32:00",
          '"""a"""', "'", "= 5", "1\n2", "[{n_in = 4, steps = 1}]", "{n_in = 4}", "cosine",
          "decoder", "[" * 3000, "0x" + "f" * 6000, "{a = " * 500, *NUMBERS)  # fmt: skip

SUFFIXES = (".jsonl", ".csv", ".tsv", ".npz", ".JSONL", ".NPZ", ".csv.gz", ".txt", "", ".npy",
            ".toml")  # fmt: skip

LINES = (b"", b" ", b"\t", b",", b"1", b"1,", b",1", b"1 2,3 4", b"0 1,1", b"-1,1", b'"1 2,3',
         b"source,target", b'"source","target"', b'"1 2","3"', b"1;2", b"1 2 3,1 2,3", b"{", b"[]",
         b'{"source": [1], "target": [2]}', b'{"source": [1]}', b"null", b"(1)", b"[" * 5000,
         b'{"source": [], "target": [1]}', b'{"source": [true], "target": [1.5]}', b"[1, 2]",
         b'{"source": [1], "target": [2], "source": "x"}', b'{"source": [1e400], "target": [NaN]}',
         b'{"source": 1, "target": "\\ud800"}', b'{"a":' * 2000, NINES.encode(), b"1 " * 5000,
         b"\xef\xbb\xbf1 2", b"1 2 \xe9", b"\x00", b"1\r2", b"1\x0b2", b"1e3 2", b"0x10", b"1_0",
         b"\x1b[31m", b"9223372036854775808", b"1000000")  # fmt: skip


@dataclass
class Case:
    """A command line, the files that it finds, and what it reads on standard input."""

    arguments: list[str]
    stdin: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)


@cache
def options_of(command: str) -> dict[str, str]:
    """Return the options of a command, each with its metavar, which is empty for a flag."""
    return {
        name: "" if parameter.is_flag else parameter.metavar or "TEXT"
        for parameter in make_command(command).params
        if isinstance(parameter, typer.core.TyperOption)
        for name in parameter.opts
        if name not in ("--help", "-h")
    }


def draw_case(draw: random.Random, runs: list[str]) -> Case:
    """Return a case for a folder in which these runs are."""
    case = Case([])
    command = draw.choice([*COMMANDS, "train", "train", "predict", "evaluate", "generate"])
    options = options_of(command)
    line = [command, *_plain(draw, command, runs, case)]
    for name in draw.choices(sorted(options), k=draw.choice((0, 1, 1, 2, 2, 5))) if options else []:
        line.append(name)
        if options[name]:
            count = 1 if name == "--until" else 2
            line += [_value(draw, name, options[name], runs, case) for _ in range(count)]
    if command in ("predict", "encode") and draw.random() < 0.9:
        line += draw.choices([_sequence(draw), "-"], (3, 1), k=draw.choice((1, 1, 1, 3)))
    if draw.random() < 0.1:
        _disturb(draw, line)
    case.arguments = [word.replace("\0", "") for word in line]  # no process can receive that
    case.stdin = _text(draw)
    return case


def _plain(draw: random.Random, command: str, runs: list[str], case: Case) -> list[str]:
    """Return options that make a small and valid line of a command."""
    if command in ("generate", "train"):
        sizes = "--n-in 3 --n-out 2 --cardinality 9".split()
        if command == "generate":
            return draw.choice(([], sizes))
        data = ["--data", _file(draw, "data", case)]
        return [*draw.choice(([], sizes, data, data)), "--units", "4", "--n-samples", "64"]
    if command == "sweep":
        return ["--grid", "task.n_in=3,4", "--set", "task.n_out=2"]
    if command == "export":
        return ["exported", "--format", "onnx"]
    if command in ("tasks", "init", "doctor"):
        return []
    if command == "help":
        return draw.choice(([], ["data"], ["nothing"]))
    run = [] if command == "runs" else ["--run", draw.choice(runs)]
    chart = [draw.choice([*RUN_CHARTS, "nothing"])] if command == "plot" else []
    few = ["--n-samples", "20"] if command in ("evaluate", "report", "plot") else []
    return [*chart, *run, *few]


def _value(draw: random.Random, name: str, kind: str, runs: list[str], case: Case) -> str:
    """Return a value for an option: a good one more often than not."""
    is_good = draw.random() < 0.6
    if name in ("--set", "--grid", "--derive"):
        return _setting(draw)
    if name in ("--data", "--validation-data", "--input", "--config", "--output"):
        return _file(draw, name.strip("-"), case)
    if name == "--run":
        return draw.choice([*runs, "new"] if is_good else TEXTS)
    if name == "--runs-dir":
        return "runs" if is_good else draw.choice(FILES)
    if kind in ("INTEGER", "NUMBER", "LENGTH"):
        return str(draw.randint(1, 12)) if is_good else draw.choice(NUMBERS)
    return draw.choice((*TEXTS, *NUMBERS))


def _setting(draw: random.Random) -> str:
    sections = RunConfig.model_fields
    section = draw.choice([*sections, "trainign", ""])
    keys = ["unknown"]
    if section in sections:
        keys = list(sections[section].annotation.model_fields)  # type: ignore[union-attr]
    key = draw.choice(keys)
    files = {"pretrained_embedding": "table.npy", "data": "data.csv", "validation_data": "data.csv"}
    value = draw.choice((files.get(key, ""), *VALUES))
    return draw.choice((f"{section}.{key}={value}",) * 9 + (f"{section}{key}", value, f"={value}"))


def _file(draw: random.Random, name: str, case: Case) -> str:
    """Return a path, of a file that the case then has, or of something else."""
    if draw.random() < 0.15:
        return draw.choice(FILES) + draw.choice(SUFFIXES)
    if name == "output":
        return draw.choice(("out", "data", "folder")) + draw.choice(SUFFIXES)
    if name == "config":
        case.files["config.toml"] = damaged(draw, _toml(draw))
        return "config.toml"
    if name == "input":
        case.files["input.txt"] = _text(draw)
        return "input.txt"
    if draw.random() < 0.15:
        case.files |= {"data.src": _text(draw), "data.tgt": _text(draw)}
        return draw.choice(("data.src,data.tgt", "data.src,missing", "data.src,", "a,b,c", ","))
    suffix = draw.choice(SUFFIXES)
    case.files[f"{name}{suffix}"] = damaged(draw, _pairs(draw, suffix.lower()))
    return f"{name}{suffix}"


def _toml(draw: random.Random) -> bytes:
    """Return a configuration: some of the defaults, a few with other values."""
    lines = RunConfig().to_toml().splitlines()
    kept = [line for line in lines if line.startswith("[") or draw.random() < 0.5]
    for i, line in enumerate(kept):
        if " = " in line and draw.random() < 0.15:
            kept[i] = f"{line.split(' = ')[0]} = {draw.choice(VALUES)}"
    return "\n".join(kept).encode(errors="surrogateescape")


def _sequence(draw: random.Random) -> str:
    if draw.random() < 0.7:
        separator = draw.choice((" ", ",", ", ", "  "))
        return separator.join(str(draw.randint(1, 8)) for _ in range(draw.choice((1, 3, 3, 40))))
    return draw.choice((*NUMBERS, *(line.decode(errors="surrogateescape") for line in LINES)))


def _text(draw: random.Random) -> bytes:
    """Return lines of sequences, some of them bad."""
    rows = [_sequence(draw).encode(errors="surrogateescape") for _ in range(draw.choice((0, 1, 4)))]
    return damaged(draw, b"\n".join(rows + draw.choices(LINES, k=draw.choice((0, 0, 0, 1, 2)))))


def _pairs(draw: random.Random, suffix: str) -> bytes:
    """Return pairs in the text format of a suffix, some of them bad."""
    rows = []
    for _ in range(draw.choice((1, 30, 60))):
        source = [draw.randint(1, 8) for _ in range(draw.randint(1, 4))]
        columns = (" ".join(map(str, source)), " ".join(map(str, source[::-1])))
        if suffix == ".jsonl":
            rows.append(json.dumps({"source": source, "target": source[::-1]}).encode())
        else:
            rows.append(("\t" if suffix == ".tsv" else ",").join(columns).encode())
    if draw.random() < 0.4:
        rows[draw.randrange(len(rows))] = draw.choice(LINES)
    return b"\n".join(rows)


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Return content as it is, more often than not, or with some damage that files suffer."""
    if draw.random() < 0.6:
        return content
    position = draw.randrange(len(content) + 1)
    before, after = content[:position], content[position:]
    text = content.decode("utf-8", errors="replace")
    return draw.choice(
        (
            before,
            before + after[draw.choice((1, 4, 64)) :],
            before + draw.randbytes(draw.choice((1, 4, 64))) + after,
            before + NINES.encode() + after,
            before + b"\0" + after,
            content.replace(b"\n", draw.choice((b"\r\n", b"\r"))),
            b"\xef\xbb\xbf" + content,
            text.encode(draw.choice(("utf-16", "utf-16-le"))),
            ("é" + text).encode("latin-1", errors="replace"),
            content + content,
            b"\n" + content + b"\n\n\n",
            b"\x1f\x8b" + content,
            b"",
        )
    )


def _disturb(draw: random.Random, line: list[str]) -> None:
    """Do to a command line what a slip of the hand does."""
    position = draw.randrange(len(line))
    word = line[position]
    extra = draw.choice(("--jsn", "--", "-x", "--n-in=3", "-qq", "---", word, draw.choice(TEXTS)))
    changed = draw.choice((word + draw.choice(("x", "=", "=5", " ")), word[1:], "--help"))
    replacement = draw.choice(([], [extra, word], [changed]))
    line[position : position + 1] = replacement
