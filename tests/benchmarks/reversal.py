"""Reversal of sequences of many lengths, learned from a file by `configs/varying.toml`.

    python tests/benchmarks/reversal.py [--seeds 1]

Learns 50,000 pairs of 1 to 25 integers, and is evaluated on 2,000 pairs of these lengths and 2,000
of 26 to 30. Prints a line of JSON for each seed: both exact matches, and the training command's
seconds.
"""

import argparse
import json
import tempfile
from pathlib import Path

from measuring import S2S, run

PARTS = {
    "train": ("1-25", 50_000, "train"),
    "same": ("1-25", 2000, "test"),
    "longer": ("26-30", 2000, "test"),
}


def main() -> None:
    """Generate the three files; train and evaluate under each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, (n_in, n, split) in PARTS.items():
            options = ["--task", "reverse", "--n-in", n_in, "--n-samples", str(n), "--split", split]
            run([*S2S, "generate", *options, "--output", f"{part}.jsonl"], folder)
        for seed in range(args.seeds):
            train = ["train", "--config", "varying", "--data", "train.jsonl", "--run", f"r{seed}"]
            seconds, _ = run([*S2S, *train, "--seed", str(seed), "-q"], folder)
            row: dict[str, object] = {"seed": seed, "seconds": round(seconds, 1)}
            for part in ("same", "longer"):
                evaluate = ["evaluate", "--run", f"r{seed}", "--data", f"{part}.jsonl", "--json"]
                row[part] = json.loads(run([*S2S, *evaluate], folder)[1])["exact_match"]
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
