"""How long a report takes, and how large its page is.

    python tests/benchmarks/reporting.py [--rounds 3] [--n-samples 10000]

Makes the report of two runs with random weights, whose every prediction is wrong and decoded step
by step: the seed task's, and one with attention and varying lengths. Prints a line of JSON each:
the medians of the whole command's wall and processor seconds, and the page's bytes; ends with 1
where the seed task's takes more than 5 processor seconds, or a page more than 3 MB.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from compare import S2S, run
from random_run import save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig

MOST_SECONDS, MOST_BYTES = 5, 3_000_000
RUNS = {
    "seed task": RunConfig(),
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
        for number, (label, config) in enumerate(RUNS.items()):
            save_random_run(folder / "runs", f"run-{number}", config)
            options = ["--run", f"run-{number}", "--n-samples", str(args.n_samples), "-q"]
            wall, processor = [], []
            for _ in range(args.rounds):
                before = processor_seconds()
                wall.append(run([*S2S, "report", *options], folder)[0])
                processor.append(processor_seconds() - before)
            size = (folder / "report.html").stat().st_size
            seconds = statistics.median(processor)
            is_kept &= size <= MOST_BYTES and (label != "seed task" or seconds <= MOST_SECONDS)
            found = {"run": label, "wall_s": round(statistics.median(wall), 2)}
            print(json.dumps(found | {"processor_s": round(seconds, 2), "bytes": size}), flush=True)
    sys.exit(not is_kept)


main()
