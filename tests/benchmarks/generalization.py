"""How the runs of a sweep predict sources that are longer than those they were trained on.

    s2s sweep generalization
    python tests/benchmarks/generalization.py [--sweep generalization] [--runs-dir runs]
        [--times 1 2 4 16] [--n-samples 500] [--output FILE.csv]

Evaluates every run at multiples of its longest training length, or at the next shorter length that
its task has, and prints a table: for each cell the median of its seeds and, where they differ, the
range. The file has a line for each run. Where a task has no sources of a length (a histogram
cannot count further than its values) there is no figure.
"""

import argparse
import csv
from pathlib import Path
from statistics import median

from seq2seq_cli import evaluate, load_run
from seq2seq_cli.config import Lengths
from seq2seq_cli.data.tasks import TASKS, length_problem
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.inference.threads import use_one_blas_thread


def exact_match(run: LoadedRun, length: int, n_samples: int) -> float | None:
    task = run.config.task
    if form := TASKS[task.name].form:
        length = form.fit(length)
    if length_problem(task, Lengths(length, length)):
        return None
    return evaluate(run, n_samples, n_in=length).exact_match


def shown(shares: list[float | None]) -> str:
    known = [share for share in shares if share is not None]
    if not known:
        return "-"
    spread = f" ({min(known):.1%} to {max(known):.1%})" if max(known) - min(known) > 0.001 else ""
    return f"{median(known):.1%}{spread}"


def main() -> None:
    """Evaluate all runs; print a row as each cell is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", default="generalization")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--times", nargs="+", type=int, default=[1, 2, 4, 16])
    parser.add_argument("--n-samples", type=int, default=500)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    use_one_blas_thread()
    cells: dict[str, list[LoadedRun]] = {}
    for folder in sorted((args.runs_dir / args.sweep).glob("*-seed-*")):
        run = load_run(f"{args.sweep}/{folder.name}", args.runs_dir)
        cells.setdefault(folder.name.rpartition("-seed-")[0], []).append(run)
    rows = []
    print("| cell |", *(f" {n} x |" for n in args.times), "\n| --- |", " --- |" * len(args.times))
    for cell, runs in cells.items():
        of_cell = []
        for run in runs:
            longest = run.config.task.lengths.longest
            shares = [exact_match(run, n * longest, args.n_samples) for n in args.times]
            of_cell.append(shares)
            config = run.config
            rows.append(
                (config.task.name, config.model.attention_radius, config.training.seed, *shares)
            )
        columns = [shown(list(column)) for column in zip(*of_cell, strict=True)]
        print(f"| {cell} | {' | '.join(columns)} |", flush=True)
    if args.output:
        with args.output.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["task", "attention_radius", "seed", *(f"{n}x" for n in args.times)])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
