"""How long a report takes, and how large its page is.

    python tests/benchmarks/reporting.py [--rounds 3] [--n-samples 10000]

Makes the report of two runs with random weights, whose predictions are all wrong: the seed task's,
and one with attention and varying lengths. Prints a line of JSON for each: the medians of the whole
command's wall and processor seconds, and the page's bytes. Ends with 1 if the seed task's takes
more than 5 processor seconds, or a page has more than 3 MB.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import HERE, S2S, run

sys.path.append(str(HERE.parent))
from random_run import save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig

MAX_SECONDS, MAX_BYTES = 5, 3_000_000
RUNS = {
    "seed-task": RunConfig(),
    "attention": RunConfig(
        task=TaskConfig(name="reverse", n_in="1-25", cardinality=51),
        model=ModelConfig(attention="dot"),
    ),
}


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n-samples", type=int, default=10_000)
    args = parser.parse_args()
    is_kept = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run_name, config in RUNS.items():
            save_random_run(folder / "runs", run_name, config)
            command = [*S2S, "report", "--run", run_name, "--n-samples", str(args.n_samples), "-q"]
            wall, processor = [], []
            for _ in range(args.rounds):
                before = processor_seconds()
                wall.append(run(command, folder)[0])
                processor.append(processor_seconds() - before)
            size = (folder / "report.html").stat().st_size
            seconds = statistics.median(processor)
            is_kept &= size <= MAX_BYTES and (run_name != "seed-task" or seconds <= MAX_SECONDS)
            figures = {
                "wall_s": round(statistics.median(wall), 2),
                "processor_s": round(seconds, 2),
            }
            print(json.dumps({"run": run_name, **figures, "bytes": size}), flush=True)
    sys.exit(not is_kept)


if __name__ == "__main__":
    main()
