"""Seconds until a task is learned: `s2s train` next to a PyTorch training of the same model.

    python tests/benchmarks/learning.py default|long [--seeds 10] [--torch-python PATH]

Whole processes in turn, on a machine that should do nothing else. Both stop within the epoch, once
99.99% of 10,000 held-out sequences are exact (`long`: 99.9%), and validate equally often. Prints a
line of JSON for each process, and the medians.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from measuring import HERE, S2S, run

STOP = {"default": (0.9999, 6400), "long": (0.999, 1600)}


def s2s(name: str, seed: int, folder: Path) -> dict[str, float]:
    stop_at, every = STOP[name]
    stop = ["--set", f"training.stop_at={stop_at}", "--set", f"training.validate_every={every}"]
    command = [*S2S, "train", "--config", name, "--run", f"seed-{seed}", "--seed", str(seed)]
    seconds, _ = run([*command, *stop, "-q"], folder)
    history = (folder / "runs" / f"seed-{seed}" / "history.jsonl").read_text().splitlines()
    last = json.loads(history[-1])
    return {"seconds": seconds, "steps": last["steps_done"], "exact_match": last["exact_match"]}


def main() -> None:
    """Run each program under each seed, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=STOP)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--torch-python", default="")
    args = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(args.seeds):
            commands = {}
            if args.torch_python:
                program = [args.torch_python, str(HERE / "torch_learning.py"), args.name]
                commands["pytorch"] = [*program, "--seed", str(seed)]
            measured = {"s2s": s2s(args.name, seed, folder)}
            measured |= {program: json.loads(run(c, folder)[1]) for program, c in commands.items()}
            for program, figures in measured.items():
                print(json.dumps({"program": program, "seed": seed, **figures}), flush=True)
                results.setdefault(program, []).append(figures)
    for program, rows in results.items():
        seconds = [row["seconds"] for row in rows if row["exact_match"] >= STOP[args.name][0]]
        median = f"{statistics.median(seconds):.1f} s" if seconds else "-"
        print(f"{program}: {len(seconds)} of {len(rows)} learned, median {median}")


if __name__ == "__main__":
    main()
