"""Reversal of sequences of many lengths, learned from a file: `configs/varying.toml` and JoeyNMT.

    python tests/benchmarks/reversal.py --joeynmt-python PATH [--rounds 1] [--seed 0]

Both learn the same 50,000 pairs of 1 to 25 integers, in turn, and are asked the same 2,000 of these
lengths and 2,000 of 26 to 30. Prints a line of JSON for each: exact match, and the training
command's wall and processor seconds. On a machine that should do nothing else; a round takes some
ten minutes on 2 cores. JoeyNMT's settings are in joeynmt_reverse.py.
"""

import argparse
import json
import tempfile
from pathlib import Path

from compare import HERE, S2S, run

from configs import measure

HELD_BACK = 1000  # pairs that JoeyNMT validates on, of which it learns the best checkpoint


def as_text(folder: Path, name: str) -> None:
    """Write the pairs of a .jsonl file as two text files, a line each."""
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    for ending, side in (("src", "source"), ("trg", "target")):
        lines = [" ".join(map(str, row[side])) + "\n" for row in rows]
        (folder / f"{name}.{ending}").write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--joeynmt-python", required=True, help="an interpreter that has joeynmt")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            print(json.dumps(measure("varying", asked.seed, folder)), flush=True)
            run([*S2S, "generate", "--task", "reverse", "--n-in", "1-25", "--n-samples",
                 str(HELD_BACK), "--split", "test", "--seed", "1", "--output", "dev.jsonl"],
                folder)  # fmt: skip
            (folder / "pairs.jsonl").rename(folder / "train.jsonl")
            for part in ("train", "dev", "same", "longer"):
                as_text(folder, part)
            command = [asked.joeynmt_python, str(HERE / "joeynmt_reverse.py"), str(folder)]
            print(json.dumps({"baseline": "joeynmt", **json.loads(run(command, folder)[1])}))


if __name__ == "__main__":
    main()
