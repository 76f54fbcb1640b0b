"""Replaces `s2s train --seeds` on a cluster's workers: complete runs, without training.

    python fake_training.py SECONDS --set ... --seeds N --run NAME --runs-dir DIR

It first writes its process id into a file `PARENT-CELL` in the folder $BEGUN and waits; when it is
terminated it ends as `s2s train` does.
"""

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path

from fake import report, small

from seq2seq_cli.data.plan import prepare
from seq2seq_cli.settings import resolve


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    seconds, *arguments = sys.argv[1:]
    values = dict(itertools.pairwise(arguments))
    begun = Path(os.environ["BEGUN"])
    begun.mkdir(exist_ok=True)
    mark = begun / f"{os.getppid()}-{values['--run']}"
    mark.write_text(str(os.getpid()))
    try:
        time.sleep(float(seconds))
        settings = [arguments[i + 1] for i, text in enumerate(arguments) if text == "--set"]
        plan = prepare(resolve(settings=settings))
        first = int(values["--seed"])
        seeds = range(first, first + int(values["--seeds"]))
        for seed in seeds:
            config, name = plan.with_seed(seed).config, f"{values['--run']}-seed-{seed}"
            small.train(Path(values["--runs-dir"]), name, config=config, force=True)
    finally:
        mark.rename(begun / f"ended-{mark.name}")
    reports = [{"seed": seed, **report(seed / 10)} for seed in seeds]
    sys.stdout.write(json.dumps({"seeds": reports}) + "\n")


if __name__ == "__main__":
    main()
