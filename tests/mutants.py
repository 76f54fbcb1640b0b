"""Damage every file of a run and of its checkpoints, many times, and see what reading says of it.

    python tests/mutants.py 1000 [--seed 0]

N mutants of each file: a bit flipped, a part cut off, lost, or put in from elsewhere, another run's
file, or an edited one. Half of them have their hash made to fit, as an attacker would. Each has to
be refused by the name of a file of the run, or to answer as the whole run does. One whose hash was
made to fit, or is a document that holds the others' hashes, may answer differently.
"""

import random
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from harness import finish, parse, work_folder
from random_run import edit, replace_file, save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.errors import ModelError
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.prediction import predict
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.manifest import HISTORY, RECORDED, TRAIN_MODEL
from seq2seq_cli.storage import sha256_of

MODEL = ModelConfig(units=5, layers=2, attention="dot", embedding=4, bidirectional=True)
CONFIG = RunConfig(task=TaskConfig(n_in=3, n_out=2, cardinality=9), model=MODEL)
SOURCES = [[1, 2, 3], [4, 5, 6], [7, 8, 1]]
KINDS = ("flip", "cut", "lose", "overwrite", "swap", "edit", "remove")
WORDS = (b"0", b"-1", b"1e400", b"null", b'"x"', b"[]", b"{}", b"9" * 400, b"true", b"NaN")


def mutated(content: bytes, other: bytes, kind: str, draw: random.Random) -> bytes:
    """Return the content with one change of this kind; `other` is another run's file."""
    n = len(content)
    position, size = draw.randrange(max(1, n)), draw.choice((1, 4, 64, 512))
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(draw.choice((1, 1, 8))):
            changed[draw.randrange(n)] ^= 1 << draw.randrange(8)
        return bytes(changed)
    if kind == "cut":
        return content[:position]
    if kind == "lose":
        return content[:position] + content[position + size :]
    if kind == "overwrite":
        return content[:position] + draw.randbytes(size) + content[position + size :]
    if kind == "swap":
        return other
    digits = [i for i in range(n) if chr(content[i]).isdigit()] or [position]
    position = draw.choice(digits)
    return content[:position] + draw.choice(WORDS) + content[position + 1 :]


def fit_hash(folder: Path, name: str) -> None:
    """Make the recorded hash of a file fit its content."""
    path = folder / name
    content = path.read_bytes()
    if name in RECORDED:
        replace_file(folder, name, content)
    elif name.endswith(".npz"):
        edit(path.with_suffix(".json"), lambda document: document.update(sha256=sha256_of(content)))


def resumed(runs: Path) -> object:
    checkpoint, _ = load_checkpoint(runs / "a")
    groups = (*checkpoint.state[:3], checkpoint.best_weights)
    arrays = [array.tobytes() for group in groups for array in group]
    return arrays, checkpoint.state.steps_done, checkpoint.config


def reader(name: str) -> Callable[[Path], object]:
    """Return what reads a file of a run: the file alone if no prediction needs it."""
    if name.startswith("checkpoint/"):
        return resumed
    if name in (TRAIN_MODEL, HISTORY):
        return lambda runs: open_run(runs, "a").read(name)
    return lambda runs: predict(load_run("a", runs), SOURCES)


def judge(read: Callable[[Path], object], runs: Path, expected: object, may_differ: bool) -> str:
    """Return the result of reading: "same", "refused", "valid by itself", or what is wrong."""
    try:
        result = read(runs)
    except ModelError as error:
        first = str(error).splitlines()[0]  # a configuration has a line for each problem
        return "refused" if str(runs / "a") in first else f"refused without a file: {first}"
    except Exception:
        return "traceback: " + traceback.format_exc().splitlines()[-1]
    if result == expected:
        return "same"
    return "valid by itself" if may_differ else "another answer, without a word"


def run(n: int, seed: int, top: Path) -> tuple[Counter[str], list[str]]:
    """Try n mutants of each file; return how often each result occurred, and what is wrong."""
    draw, runs = random.Random(seed), top / "runs"
    path, other = save_random_run(runs, "a", CONFIG, 1), save_random_run(top, "b", CONFIG, 2)
    files = {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }
    counts, wrong = Counter[str](), []
    for name in sorted(files):
        read = reader(name)
        expected = read(runs)
        for number in range(n):
            kind = draw.choice(KINDS)
            is_fitted = kind != "remove" and draw.random() < 0.5
            if kind == "remove":
                (path / name).unlink()
            else:
                content = mutated(files[name], (other / name).read_bytes(), kind, draw)
                (path / name).write_bytes(content)
                if is_fitted:
                    fit_hash(path, name)
            result = judge(read, runs, expected, is_fitted or name.endswith(".json"))
            if result not in ("same", "refused", "valid by itself"):
                wrong.append(f"{name}, mutant {number}, {kind}, fitted {is_fitted}: {result}")
                result = "wrong"
            counts[result] += 1
            for file, content in files.items():
                (path / file).write_bytes(content)
    return counts, wrong


def main() -> None:
    args = parse(__doc__, 100)
    with work_folder() as top:
        counts, wrong = run(args.n, args.seed, top)
    finish(", ".join(f"{n:,} {result}" for result, n in sorted(counts.items())), wrong)


if __name__ == "__main__":
    main()
