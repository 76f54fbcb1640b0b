"""Damage every file of a run and of its checkpoints, many times, and see what reading says of it.

    python tests/mutants.py 1000        so many mutants of each file; --seed for others

Each mutant is a bit flipped, a part cut off, lost, or put in from elsewhere, another run's file, or
an edited one; half of them have their hash made to fit, as an attacker would. Each has to be
refused by the name of a file of the run, or to answer as the whole run does; one that was made to
fit, or is a document that holds the others' hashes, may answer otherwise.
"""

import argparse
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from edited import edit
from random_run import save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.errors import ModelError
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.prediction import predict
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.manifest import HISTORY, MANIFEST, RECORDED, TRAIN_MODEL
from seq2seq_cli.storage import sha256_of

SOURCES = [[1, 2, 3], [4, 5, 6], [7, 8, 1]]
KINDS = ("flip", "cut", "lose", "overwrite", "swap", "edit", "remove")


def make(runs: Path, name: str, seed: int) -> Path:
    model = ModelConfig(units=5, layers=2, attention="dot", embedding=4, bidirectional=True)
    config = RunConfig(task=TaskConfig(n_in=3, n_out=2, cardinality=9), model=model)
    return save_random_run(runs, name, config, seed)


def mutated(content: bytes, other: bytes, kind: str, draw: random.Random) -> bytes:
    """Return the content with one change of this kind; `other` is another run's file."""
    n = len(content)
    place, size = draw.randrange(max(1, n)), draw.choice((1, 4, 64, 512))
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(draw.choice((1, 1, 8))):
            changed[draw.randrange(n)] ^= 1 << draw.randrange(8)
        return bytes(changed)
    if kind == "cut":
        return content[:place]
    if kind == "lose":
        return content[:place] + content[place + size :]
    if kind == "overwrite":
        return content[:place] + draw.randbytes(size) + content[place + size :]
    if kind == "swap":
        return other
    words = (b"0", b"-1", b"1e400", b"null", b'"x"', b"[]", b"{}", b"9" * 400, b"true", b"NaN")
    digits = [i for i in range(n) if chr(content[i]).isdigit()] or [place]
    place = draw.choice(digits)
    return content[:place] + draw.choice(words) + content[place + 1 :]


def record_anew(folder: Path, name: str) -> None:
    """Make the hash that is recorded of a file fit to its content."""
    path = folder / name
    content = path.read_bytes()
    sha256 = sha256_of(content)
    if name in RECORDED:
        record = {"sha256": sha256, "bytes": len(content)}
        edit(folder / MANIFEST, lambda manifest: manifest["files"].update({name: record}))
    elif name.endswith(".npz"):
        edit(path.with_suffix(".json"), lambda description: description.update(sha256=sha256))


def answer(runs: Path) -> object:
    return predict(load_run("a", runs), SOURCES)


def resumed(runs: Path) -> object:
    checkpoint, _ = load_checkpoint(runs / "a")
    groups = (*checkpoint.state[:3], checkpoint.best_weights)
    arrays = [array.tobytes() for group in groups for array in group]
    return arrays, checkpoint.state.steps_done, checkpoint.config


def reader(name: str) -> Callable[[Path], object]:
    """Return what reads a file of a run: the file alone where no prediction needs it."""
    if name.startswith("checkpoint/"):
        return resumed
    if name in (TRAIN_MODEL, HISTORY):
        return lambda runs: open_run(runs, "a").read(name)
    return answer


def judge(read: Callable[[Path], object], runs: Path, expected: object, may_differ: bool) -> str:
    """Return what became of reading: "same", "refused", or what is wrong with it."""
    try:
        found = read(runs)
    except ModelError as error:
        first = str(error).splitlines()[0]  # of a configuration there is a line for each problem
        if str(runs / "a") not in first:
            return f"refused, but not by a file: {first}"
        return "refused"
    except Exception:
        return "traceback: " + traceback.format_exc().splitlines()[-1]
    if found == expected:
        return "same"
    return "other, valid by itself" if may_differ else "another answer, without a word"


def run(n: int, seed: int, folder: Path) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Try n mutants of each file; return how often each came to what, and all that is wrong."""
    draw = random.Random(seed)
    runs, path = folder / "runs", make(folder / "runs", "a", 1)
    other = make(folder / "others", "a", 2)
    files = [str(file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
    whole = {name: (path / name).read_bytes() for name in files}
    counts: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for name in files:
        read = reader(name)
        expected = read(runs)
        for number in range(n):
            kind = draw.choice(KINDS)
            content = mutated(whole[name], (other / name).read_bytes(), kind, draw)
            if kind == "remove":
                (path / name).unlink()
            else:
                (path / name).write_bytes(content)
            is_fitted = kind != "remove" and draw.random() < 0.5
            if is_fitted:
                record_anew(path, name)
            # What was made to fit, or holds the hashes itself, can be valid by itself.
            may_differ = is_fitted or name.endswith(".json")
            found = judge(read, runs, expected, may_differ)
            known = ("same", "refused", "other, valid by itself")
            counts[name, found if found in known else "WRONG"] += 1
            if found not in known:
                wrong.append(f"{name}, mutant {number}, {kind}, fitted {is_fitted}: {found}")
            for file, before in whole.items():
                if not (path / file).is_file() or (path / file).read_bytes() != before:
                    (path / file).write_bytes(before)
    return counts, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = run(options.n, options.seed, Path(folder))
    for name in dict.fromkeys(name for name, _ in counts):
        each = (f"{n:,} {what}" for (file, what), n in sorted(counts.items()) if file == name)
        print(f"{name}: {', '.join(each)}")
    print(f"{sum(counts.values()):,} mutants, {len(wrong)} wrong")
    print("\n".join(wrong[:40]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
