"""What a user may type, write into files and send: valid by grammar, then damaged.

A `Case` is a command line with the files beside it and what stands on standard input. Which options
there are is asked of the command line itself, so that none is left out.
"""

import io
import json
import random
import zipfile
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import typer

from seq2seq_cli.cli.app import COMMANDS, make_command
from seq2seq_cli.config import RunConfig
from seq2seq_cli.report import RUN_CHARTS

NINES = "9" * 400

NUMBERS = (
    "0 -1 -0 00 +3 1.5 1e3 1e400 nan -inf inf 0x10 1_000 ٣ ５ ² true abc 1-2 2-1 1-25 0-3 -3-4 "
    "2147483647 2147483648 9223372036854775807 9223372036854775808 1000000000 99999999999999999 "
    f"{NINES} {NINES}-{NINES} 0.{NINES} {NINES * 12} [] {{}} -- - , ; ' \" \\ % $HOME ~"
).split() + ["", " ", " 5 ", "5\n", "1\n2", "5 6", "\x1b[31m5", "\udcff", "é", "5" * 70_000]

TEXTS = ("a", "plain", "none", "dot", "dto", "both", "reverse", "copy", "sort", "reverse-prefix",
         "own.py:double", "own.py:", ":", "own.py:missing", "broken.py:f", "folder:f", "own.py:wrong",
         "train", "test", "validation", "auto", "../a", "a/b", "/", "..", ".", "-", "a" * 300,
         "a\tb", "[red]a[/red]", "{}", "%s", "\u202eabc", "🙂")  # fmt: skip

FILES = ("missing", "folder", "loop", "zero", "null", "empty", "name\nwith a line", "é", "a" * 300,
         "no/such/place", "config.toml/inside", "/proc/self/mem", "")  # fmt: skip

VALUES = ("1", "5", "0.5", "true", "false", '"a"', "a", "[]", "{}", "[1, 2]", "[[1]]", "nan", "-inf",
          "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", '"""a"""', "'", '"', "= 5", "1\n2", "",
          "[{n_in = 4, steps = 1}]", "[{steps = 1e400}]", "{n_in = 4}", "cosine", "constant", "decoder", "[" * 3000, "0x" + "f" * 6000, "0b" + "1" * 70, "{a = " * 500, *NUMBERS)  # fmt: skip

SUFFIXES = (".jsonl", ".csv", ".tsv", ".npz", ".JSONL", ".Csv", ".TSV", ".NPZ", ".gz", ".csv.gz",
            ".txt", "", ".npy", ".toml", ".json")  # fmt: skip

LINES = (b"", b" ", b"\t", b",", b"1", b"1,", b",1", b"1 2,3 4", b"1 2\t3 4", b"0 1,1", b"-1,1",
         b"source,target", b"SOURCE\tTarget", b'"source","target"', b'"1 2","3"', b'"1 2,3', b"1;2",
         b"1 2 3,1 2,3", b'{"source": [1], "target": [2]}', b'{"source": [1]}', b"{", b"[]", b"null",
         b'{"source": [], "target": [1]}', b'{"source": [true], "target": [1.5]}', b"[1, 2]", b"(1)",
         b'{"source": [1], "target": [2], "source": "x"}', b'{"source": 1, "target": "\\ud800"}',
         b'{"source": [1e400], "target": [NaN]}', b"[" * 5000, b'{"a":' * 2000, NINES.encode(),
         b"1 " * 5000, b"\xef\xbb\xbf1 2", "٣ ４".encode(), "1 2 é".encode("latin-1"), b"\x00", b"\r",
         b"1\r2", b"1\x0b2", b"1\xc2\xa02", b"1e3 2", b"0x10", b"+1 -1", b"1_0", b"\x1b[31m",
         "\u2028".encode(), b"9223372036854775808", b"1000000", b"999999")  # fmt: skip


@dataclass
class Case:
    """A command line, the files that it finds, and what it reads on standard input."""

    arguments: list[str]
    stdin: bytes = b""
    endless: bool = False
    """Whether what stands on standard input begins anew when it has ended, for ever."""
    files: dict[str, bytes] = field(default_factory=dict)


@cache
def options_of(command: str) -> dict[str, str]:
    """Return the options of a command, each with its metavar; an empty one where it is a flag."""
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
    for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 5)) if options else 0):
        name = draw.choice(sorted(options))
        line.append(name)
        if options[name]:
            line += [
                _value(draw, name, options[name], runs, case)
                for _ in range(2 - (name != "--until"))
            ]
    if command in ("predict", "encode") and draw.random() < 0.9:
        line += draw.choices([_sequence(draw), "-"], (3, 1), k=draw.choice((1, 1, 1, 3)))
    if draw.random() < 0.1:
        _disturb(draw, line)
    case.arguments = [word.replace("\0", "") for word in line]  # no process can be given that
    case.stdin = _text(draw)
    case.endless = draw.random() < 0.01
    return case


def _plain(draw: random.Random, command: str, runs: list[str], case: Case) -> list[str]:
    """Return options that make a small and valid line of a command."""
    if command in ("generate", "train"):
        sizes = "--n-in 3 --n-out 2 --cardinality 9".split()
        if command == "generate":
            return draw.choice(([], sizes))
        small = ["--units", "4", "--n-samples", "64"]
        own = ["--data", _file(draw, "data", case)]
        return [*draw.choice(([], sizes, own, own)), *small]
    if command == "sweep":
        return ["--grid", "task.n_in=3,4", "--set", "task.n_out=2"]
    if command == "export":
        return ["exported", "--format", "onnx"]
    if command in ("tasks", "init", "doctor"):
        return []
    if command == "help":
        return draw.choice(([], ["data"], ["nothing"]))
    run = [] if command == "runs" else ["--run", draw.choice(runs)]
    what = [draw.choice([*RUN_CHARTS, "nothing"])] if command == "plot" else []
    few = ["--n-samples", "20"] if command in ("evaluate", "report", "plot") else []
    return [*what, *run, *few]


def _value(draw: random.Random, name: str, kind: str, runs: list[str], case: Case) -> str:
    """Return a value for an option: a good one more often than not."""
    is_good = draw.random() < 0.6
    if name in ("--set", "--grid", "--derive"):
        return _setting(draw)
    if name in ("--data", "--validation-data", "--input", "--config", "--output"):
        return _file(draw, name.strip("-"), case)
    if name == "--run":
        return draw.choice([*runs, "new"]) if is_good else draw.choice(TEXTS)
    if name == "--runs-dir":
        return "runs" if is_good else draw.choice(("folder", "elsewhere", *FILES))
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
        case.files["config.toml"] = damaged(draw, _toml(draw, case))
        return "config.toml"
    if name == "input":
        case.files["input.txt"] = _text(draw)
        return "input.txt"
    if draw.random() < 0.15:
        case.files |= {"data.src": _text(draw), "data.tgt": _text(draw)}
        return draw.choice(("data.src,data.tgt", "data.src,missing", "data.src,", "a,b,c", ","))
    suffix = draw.choice(SUFFIXES)
    path = f"{name}{suffix}"
    if suffix.lower() == ".npz":
        case.files[path] = damaged(draw, _npz(draw))
    else:
        case.files[path] = damaged(draw, _pairs(draw, suffix.lower()))
    return path


def _toml(draw: random.Random, case: Case) -> bytes:
    """Return a configuration: some of the defaults, small, with some other values."""
    if draw.random() < 0.3:
        case.files["table.npy"] = damaged(draw, _npy(draw))
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
    lines = [
        _sequence(draw).encode(errors="surrogateescape") for _ in range(draw.choice((0, 1, 4)))
    ]
    lines += draw.choices(LINES, k=draw.choice((0, 0, 0, 1, 2)))
    return damaged(draw, b"\n".join(lines))


def _pairs(draw: random.Random, suffix: str) -> bytes:
    """Return pairs as a file of this suffix holds them, some of them bad."""
    lines = []
    for _ in range(draw.choice((1, 30, 60))):
        source = [draw.randint(1, 8) for _ in range(draw.randint(1, 4))]
        both = (" ".join(map(str, source)), " ".join(map(str, source[::-1])))
        if suffix == ".jsonl":
            lines.append(json.dumps({"source": source, "target": source[::-1]}))
        else:
            lines.append(("\t" if suffix == ".tsv" else ",").join(both))
    found = [line.encode() for line in lines]
    if draw.random() < 0.4:
        found[draw.randrange(len(found))] = draw.choice(LINES)
    return b"\n".join(found)


def _arrays(draw: random.Random, shape: tuple[int, int]) -> np.ndarray:
    """Return an array of this shape, or one that is of no use."""
    good = np.random.default_rng(draw.getrandbits(32)).integers(1, 9, shape)
    kinds = (
        lambda: good.astype(draw.choice(("i1", "u1", "<i2", ">i4", "u4", "i8", ">u8"))),
        lambda: good.astype(draw.choice(("f2", "f4", "f8", "c16", "?", "S3", "U2", "M8[s]"))),
        lambda: np.asfortranarray(good),
        lambda: np.array([[{}], [print]], object),
        lambda: np.zeros(draw.choice(((), (0,), (0, 3), (3, 0), (2, 2, 2), shape)), "i4"),
        lambda: good * draw.choice((-1, 2**40, 10**6)),
        lambda: np.zeros(shape, [("a", "i4"), ("b", "O")]),
        lambda: np.full(shape, 2**63, "u8"),
        lambda: np.full(shape, draw.choice((np.nan, np.inf, 1e308, 1.0))),
    )
    return draw.choice((*(kinds[0],) * 4, *kinds[1:]))()


def _npy(draw: random.Random, shape: tuple[int, int] = (9, 2)) -> bytes:
    content = io.BytesIO()
    np.save(content, _arrays(draw, shape), allow_pickle=True)
    found = content.getvalue()
    if draw.random() < 0.2:  # a header that says more than there is
        claimed = draw.choice(
            (b"(10**9, 1)", b"(9999999999999, 9)", b"(-1, 2)", b"(2, 2, 2)", b"x")
        )
        found = found.replace(f"({shape[0]}, {shape[1]})".encode(), claimed)
    return found


def _npz(draw: random.Random) -> bytes:
    content = io.BytesIO()
    kind = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED,
                        zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))  # fmt: skip
    names = draw.choice((("sources", "targets"),) * 8 + (("sources",), ("a", "b")))
    with zipfile.ZipFile(content, "w", kind) as archive:
        for name in names:
            content_of = _npy(draw, (30, 3))
            if kind == zipfile.ZIP_DEFLATED and draw.random() < 0.05:
                content_of = bomb(draw.choice((3, 2 * 10**6)))
            archive.writestr(f"{name}.npy", content_of, compresslevel=1)
    return content.getvalue()


@cache
def bomb(columns: int) -> bytes:
    """Return an array's file of 24 MB, in rows of so many ids, that hardly takes room packed."""
    array = np.ones((24 * 10**6 // (4 * columns), columns), np.int32)
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Return content as it is, more often than not, or with some damage of what files suffer."""
    if draw.random() < 0.6:
        return content
    place = draw.randrange(len(content) + 1)
    before, after = content[:place], content[place:]
    recoded = content.decode("utf-8", errors="replace")
    return draw.choice(
        (
            lambda: before,
            lambda: before + after[draw.choice((1, 4, 64)) :],
            lambda: before + draw.randbytes(draw.choice((1, 4, 64))) + after,
            lambda: before + bytes([draw.randrange(256)]) + after[1:],
            lambda: before + NINES.encode() + after,
            lambda: before + b"\0" + after,
            lambda: content.replace(b"\n", b"\r\n"),
            lambda: content.replace(b"\n", b"\r"),
            lambda: b"\xef\xbb\xbf" + content,
            lambda: recoded.encode("utf-16"),
            lambda: recoded.encode("utf-16-le"),
            lambda: ("é" + recoded).encode("latin-1", errors="replace"),
            lambda: content + content,
            lambda: content + b"\n\n\n",
            lambda: b"\n" + content,
            lambda: b"\x1f\x8b" + content,
            lambda: b"",
            lambda: content[::-1],
        )
    )()


def _disturb(draw: random.Random, line: list[str]) -> None:
    """Do to a command line what a slip of the hand does."""
    place = draw.randrange(len(line))
    draw.choice(
        (
            lambda: line.pop(place),
            lambda: line.insert(place, line[place]),
            lambda: line.insert(place, draw.choice(TEXTS)),
            lambda: line.insert(
                place, draw.choice(("--jsn", "--", "-x", "--n-in=3", "-qq", "---"))
            ),
            lambda: line.__setitem__(place, line[place] + draw.choice(("x", "=", "=5", " "))),
            lambda: line.__setitem__(place, line[place][1:]),
            lambda: draw.shuffle(line),
            lambda: line.__setitem__(place, "--help"),
        )
    )()
