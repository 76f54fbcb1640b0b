"""Takes the place of `s2s train --seeds` on a cluster's workers: complete runs, without training.

    python fake_training.py SECONDS --set ... --seeds N --run NAME --runs-dir DIR

It writes its number into a file `PARENT-CELL` in the folder $BEGUN first, waits, and ends as
`s2s train` does when it is terminated.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from fake import report, small

from seq2seq_cli.data.plan import prepare
from seq2seq_cli.errors import S2sError
from seq2seq_cli.settings import resolve


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    seconds, *arguments = sys.argv[1:]

    def value(option: str) -> str:
        return arguments[arguments.index(option) + 1]

    begun = Path(os.environ["BEGUN"])
    begun.mkdir(exist_ok=True)
    mark = begun / f"{os.getppid()}-{value('--run')}"
    mark.write_text(str(os.getpid()))
    try:
        time.sleep(float(seconds))
        given = [arguments[i + 1] for i, text in enumerate(arguments) if text == "--set"]
        plan = prepare(resolve(settings=given))
        seeds = range(int(value("--seed")), int(value("--seed")) + int(value("--seeds")))
        runs_dir = Path(value("--runs-dir"))
        for seed in seeds:
            config = plan.with_seed(seed).config
            small.train(runs_dir, f"{value('--run')}-seed-{seed}", config=config, force=True)
    except S2sError as error:
        sys.stderr.write(f"s2s: {error}\n")
        sys.exit(error.exit_code)
    finally:
        mark.rename(begun / f"ended-{mark.name}")
    reports = [{"seed": seed, **report(seed / 10)} for seed in seeds]
    sys.stdout.write(json.dumps({"seeds": reports}) + "\n")


if __name__ == "__main__":
    main()
