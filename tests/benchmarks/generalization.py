"""How the runs of a sweep predict sources that are longer than those they were trained on.

    s2s sweep generalization
    python tests/benchmarks/generalization.py [--sweep generalization] [--runs-dir runs]
        [--times 1 2 4 16] [--n-samples 500] [--output FILE.csv]
    python tests/benchmarks/generalization.py --draw FILE.csv FILE.svg

Evaluates every run at multiples of its longest training length, or at the next shorter length that
its task has. Where a task has no sources of a length (a histogram cannot count further than its
values) there is no figure. The CSV file has a row for each run and multiple; --draw shows it as a
heat map, which is the picture in `configs/README.md`.
"""

import argparse
import csv
from pathlib import Path

import vl_convert

from seq2seq_cli import evaluate, load_run
from seq2seq_cli.config import Lengths
from seq2seq_cli.data.tasks import TASKS, length_problem
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.inference.threads import use_one_blas_thread

COLUMNS = ("task", "attention_radius", "seed", "times", "exact_match")


def exact_match(run: LoadedRun, length: int, n_samples: int) -> float | None:
    task = run.config.task
    if form := TASKS[task.name].form:
        length = form.fit(length)
    if length_problem(task, Lengths(length, length)):
        return None
    return evaluate(run, n_samples, n_in=length).exact_match


def draw(file: Path, picture: Path) -> None:
    """Draw the shares, as the median of the seeds."""
    with file.open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["exact_match"]]
    for row in rows:
        radius = row["attention_radius"]
        row["attention"] = "by content alone" if radius == "0" else "with position biases"
    axis = {"labelAngle": 0, "orient": "top"}
    chart = {
        "data": {"values": rows},
        "facet": {"column": {"field": "attention", "title": "attention"}},
        "spec": {
            "width": 200,
            "height": {"step": 18},
            "transform": [
                {
                    "aggregate": [{"op": "median", "field": "exact_match", "as": "share"}],
                    "groupby": ["task", "times"],
                }
            ],
            "encoding": {
                "y": {"field": "task", "type": "nominal", "sort": list(TASKS), "title": None},
                "x": {
                    "field": "times",
                    "type": "ordinal",
                    "sort": None,
                    "title": "longest training length x",
                    "axis": axis,
                },
            },
            "layer": [
                {
                    "mark": "rect",
                    "encoding": {
                        "color": {
                            "field": "share",
                            "type": "quantitative",
                            "scale": {"scheme": "blues", "domain": [0, 1]},
                            "legend": {"format": "%", "title": "exact match"},
                        }
                    },
                },
                {
                    "mark": {"type": "text", "fontSize": 11},
                    "encoding": {
                        "text": {"field": "share", "format": ".1~%"},
                        "color": {
                            "condition": {"test": "datum.share > 0.5", "value": "white"},
                            "value": "black",
                        },
                    },
                },
            ],
        },
        "config": {"background": "white"},
    }
    picture.write_text(vl_convert.vegalite_to_svg(chart))


def main() -> None:
    """Evaluate all runs, or draw what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", default="generalization")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--times", nargs="+", type=int, default=[1, 2, 4, 16])
    parser.add_argument("--n-samples", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("generalization-lengths.csv"))
    parser.add_argument("--draw", nargs=2, type=Path, metavar=("FILE.csv", "FILE.svg"))
    args = parser.parse_args()
    if args.draw:
        draw(*args.draw)
        return
    use_one_blas_thread()
    with args.output.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for folder in sorted((args.runs_dir / args.sweep).glob("*-seed-*")):
            run = load_run(f"{args.sweep}/{folder.name}", args.runs_dir)
            longest, config = run.config.task.lengths.longest, run.config
            setting = config.task.name, config.model.attention_radius, config.training.seed
            for n in args.times:
                share = exact_match(run, n * longest, args.n_samples)
                writer.writerow([*setting, n, share])
                print(*setting, f"{n} x", share, flush=True)


if __name__ == "__main__":
    main()
