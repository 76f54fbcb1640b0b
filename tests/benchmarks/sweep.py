"""What a sweep costs beside its trainings, and beside a shell loop of `s2s train`.

    python tests/benchmarks/sweep.py [--units 64 128 256] [--seeds 3] [--n-samples 100000]
        [--jobs 1 2 ...] [--rounds 1] [--loop]

Sweeps over the units of the tutorial's task, in a temporary folder, with an empty folder of
compiled programs each time. The steady time of a cell is that of its last seed's training, which
compiles nothing, times its seeds, with one cell at a time on all cores; a sweep should take no more
than 1.3 of it. The other `--jobs` tell whether cells side by side, on a part of the cores each,
take less than one after the other. The loop is what a user without `s2s sweep` would type: a
process for each cell and seed. Prints a line of JSON for each, to be measured on a machine that
does nothing else.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from compare import S2S, SEED_TASK, run

SETTINGS = [f"task.{option[2:].replace('-', '_')}={value}"
            for option, value in zip(SEED_TASK[::2], SEED_TASK[1::2], strict=True)]  # fmt: skip


def steady_seconds(folder: Path, seeds: int) -> float:
    """Return what all trainings of a sweep would take if none compiled anything."""
    lines = (folder / "sweep.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return sum(seeds * record["seconds"] for record in records if record["seed"] == seeds - 1)


def sweep(options: argparse.Namespace, jobs: int, folder: Path) -> tuple[float, float]:
    """Return the wall seconds of a sweep, and its steady ones."""
    settings = [*SETTINGS, f"training.n_samples={options.n_samples}"]
    words = [word for setting in settings for word in ("--set", setting)]
    units = ",".join(map(str, options.units))
    wall, _ = run(
        [*S2S, "sweep", "--grid", f"model.units={units}", "--seeds", str(options.seeds), *words,
         "--jobs", str(jobs), "--name", "measured", "-q"], folder)  # fmt: skip
    return wall, steady_seconds(folder / "runs" / "measured", options.seeds)


def loop(options: argparse.Namespace, folder: Path) -> float:
    """Return the wall seconds of a process for each cell and seed, one after the other."""
    common = [*S2S, "train", *SEED_TASK, "--n-samples", str(options.n_samples), "-q"]
    return sum(
        run([*common, "--units", str(units), "--seed", str(seed)], folder)[0]
        for units in options.units
        for seed in range(options.seeds)
    )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-samples", type=int, default=100_000)
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--loop", action="store_true", help="measure the shell loop too")
    options = parser.parse_args()
    sizes = {"cells": len(options.units), "seeds": options.seeds, "n_samples": options.n_samples}
    for _ in range(options.rounds):
        steady = 0.0
        for jobs in dict.fromkeys([1, *options.jobs]):
            with tempfile.TemporaryDirectory() as name:
                wall, own_steady = sweep(options, jobs, Path(name))
            steady = steady or own_steady
            found = {"what": "sweep", "jobs": jobs, "cores": os.cpu_count(),
                     "wall_s": round(wall, 1), "steady_s": round(steady, 1),
                     "ratio": round(wall / steady, 3)}  # fmt: skip
            print(json.dumps(found | sizes), flush=True)
        if options.loop:
            with tempfile.TemporaryDirectory() as name:
                wall = loop(options, Path(name))
            found = {"what": "loop", "wall_s": round(wall, 1), "ratio": round(wall / steady, 3)}
            print(json.dumps(found | sizes), flush=True)


if __name__ == "__main__":
    main()
