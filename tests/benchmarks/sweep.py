"""What a sweep costs besides its trainings.

    python tests/benchmarks/sweep.py [--units 64 128 256] [--seeds 3] [--n-samples 100000]
        [--rounds 1]

Sweeps over the units of the tutorial's task, one cell at a time on all cores, in a temporary folder
without compiled programs. The steady time of a cell is that of its last seed's training, which
compiles nothing, times its seeds; a sweep should take no more than 1.3 of it. Prints a line of JSON
for each round.
"""

import argparse
import json
import tempfile
from pathlib import Path

from measuring import S2S, run

SETTINGS = ("task.n_in=6", "task.n_out=3", "task.cardinality=51")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-samples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    settings = (*SETTINGS, f"training.n_samples={args.n_samples}")
    command = [
        *S2S, "sweep", "--grid", f"model.units={','.join(map(str, args.units))}", "--seeds",
        str(args.seeds), *(word for setting in settings for word in ("--set", setting)), "--jobs",
        "1", "--name", "measured", "-q",
    ]  # fmt: skip
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            wall, _ = run(command, folder)
            lines = (folder / "runs" / "measured" / "sweep.jsonl").read_text().splitlines()
        last = [record for line in lines if (record := json.loads(line))["seed"] == args.seeds - 1]
        steady = args.seeds * sum(record["seconds"] for record in last)
        figures = {"wall_s": wall, "steady_s": steady, "ratio": wall / steady}
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}), flush=True)


if __name__ == "__main__":
    main()
