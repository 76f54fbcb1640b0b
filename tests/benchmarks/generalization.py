"""How far each run of a sweep carries beyond the lengths that it was trained on.

    s2s sweep generalization
    python tests/benchmarks/generalization.py [--sweep generalization] [--runs-dir runs]
        [--lengths 1-60] [--n-samples 500] [--output FILE.csv]

Evaluates every run at every length, as `s2s evaluate --lengths` does, and prints the README's
table: for each cell what its seeds have at the training's lengths, the longest length at which
each is 99 % exact, and the mean beyond the training's. The file has a line for each run, with its
exact match at each length. Takes some three minutes for sixteen runs.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from seq2seq_cli.generalization import LengthCurve, evaluate_lengths, parse_range
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.inference.threads import use_one_blas_thread
from seq2seq_cli.report.grids import results_of
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.record import RunRecord


def within(curve: LengthCurve) -> float:
    """Return the mean exact match at the lengths of the training that were evaluated."""
    return mean(r.exact_match for r in curve.lengths if r.is_trained and r.exact_match is not None)


def row(cell: str, curves: Sequence[LengthCurve]) -> str:
    """Return a cell's row of the table, with each of its seeds."""
    columns = (
        [f"{within(curve):.2%}" for curve in curves],
        [str(curve.longest_learned or "none") for curve in curves],
        [f"{curve.mean_beyond or 0:.1%}" for curve in curves],
    )
    return f"| {cell} | {' | '.join(', '.join(column) for column in columns)} |"


def write(file: Path, records: Sequence[RunRecord], curves: dict[str, LengthCurve]) -> None:
    """Write a line for each run: what it is, and its exact match at each length."""
    lengths = [result.length for result in next(iter(curves.values())).lengths]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        settings = sorted({key for record in records for key in record.settings})
        writer.writerow(["seed", *settings, *lengths])
        for record in records:
            shares = [result.exact_match for result in curves[record.run].lengths]
            writer.writerow([record.seed, *map(record.settings.get, settings), *shares])


def main() -> None:
    """Evaluate all runs, a row as each cell is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", default="generalization")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--lengths", default="1-60")
    parser.add_argument("--n-samples", type=int, default=500)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    use_one_blas_thread()
    _, found = results_of(SweepFolder(asked.runs_dir / asked.sweep))
    lengths = parse_range(asked.lengths)
    records = [record for record in found if record.exact_match is not None]
    curves: dict[str, LengthCurve] = {}
    print(
        "| cell | at the training's lengths | longest at 99 % | mean beyond |\n"
        + "| --- " * 4
        + "|"
    )
    for cell in dict.fromkeys(record.cell for record in records):
        of_cell = [record for record in records if record.cell == cell]
        for record in of_cell:
            loaded = load_run(record.run, asked.runs_dir)
            curves[record.run] = evaluate_lengths(loaded, lengths, asked.n_samples)
        print(row(cell, [curves[record.run] for record in of_cell]), flush=True)
    if asked.output:
        write(asked.output, records, curves)


if __name__ == "__main__":
    main()
