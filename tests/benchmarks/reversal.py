"""Reversal of sequences of many lengths, learned from a file: `configs/varying.toml` and JoeyNMT.

    python tests/benchmarks/reversal.py [--seeds 1] [--joeynmt-python PATH]

Both learn the same 50,000 pairs of 1 to 25 integers, in turn, and are evaluated on the same 2,000
of these lengths and 2,000 of 26 to 30. Prints a line of JSON for each: exact match, and the
training command's seconds. On a machine that should do nothing else; JoeyNMT takes about ten
minutes on 2 cores. Its settings are in joeynmt_reverse.py.
"""

import argparse
import json
import tempfile
from pathlib import Path

from compare import HERE, S2S, run

HELD_BACK = 1000  # pairs that JoeyNMT validates on, of which it learns the best checkpoint


def as_text(folder: Path, name: str) -> None:
    """Write the pairs of a .jsonl file as two text files, a line each."""
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    for ending, side in (("src", "source"), ("trg", "target")):
        lines = [" ".join(map(str, row[side])) + "\n" for row in rows]
        (folder / f"{name}.{ending}").write_text("".join(lines))


def generate(folder: Path, n_in: str, n: int, split: str, name: str, seed: int = 0) -> None:
    options = ["--task", "reverse", "--n-in", n_in, "--n-samples", str(n), "--split", split]
    run([*S2S, "generate", *options, "--seed", str(seed), "--output", f"{name}.jsonl"], folder)


def s2s(folder: Path, seed: int) -> dict[str, object]:
    """Train on the pairs in the folder and evaluate on both of its other files."""
    train = [*S2S, "train", "--config", "varying", "--data", "train.jsonl", "--run", f"seed-{seed}"]
    found: dict[str, object] = {"seed": seed}
    found["seconds"] = round(run([*train, "--seed", str(seed), "-q"], folder)[0], 1)
    for name in ("same", "longer"):
        evaluate = ["evaluate", "--run", f"seed-{seed}", "--data", f"{name}.jsonl", "--json"]
        found[name] = json.loads(run([*S2S, *evaluate], folder)[1])["exact_match"]
    return found


def main() -> None:
    """Train both under each seed, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--joeynmt-python", help="an interpreter that has joeynmt")
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, "1-25", 50_000, "train", "train")
        generate(folder, "1-25", 2000, "test", "same")
        generate(folder, "26-30", 2000, "test", "longer")
        generate(folder, "1-25", HELD_BACK, "test", "dev", seed=1)
        for part in ("train", "dev", "same", "longer"):
            as_text(folder, part)
        for seed in range(args.seeds):
            print(json.dumps(s2s(folder, seed)), flush=True)
            if args.joeynmt_python:
                command = [args.joeynmt_python, str(HERE / "joeynmt_reverse.py"), str(folder)]
                print(json.dumps({"baseline": "joeynmt", **json.loads(run(command, folder)[1])}))


if __name__ == "__main__":
    main()
