"""Kill a training again and again, and see that it ends with the bits of one left alone.

    python tests/kill_and_resume.py [--kills 200] [--seed 0]

Each process is sent SIGKILL at a random moment after its first own checkpoint, so that the whole
comes to an end; it may be writing one just then. Prints one line a kill, and ends with 1 if the
final checkpoints differ in a single bit, or the histories in more than their times. It is validated
within its epochs too.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from seq2seq_cli.runs.checkpoint_files import load_checkpoint
from seq2seq_cli.runs.history import history_text

OPTIONS = "--n-in 4 --n-out 2 --cardinality 13 --units 8 --batch-size 16 --n-samples 1600".split()
OPTIONS += ["--set", "training.validate_every=960"]


def arrays(folder: Path) -> list[bytes]:
    """Return the bits of the newest checkpoint, its step and its history but for the times."""
    checkpoint, _ = load_checkpoint(folder)
    state, groups = checkpoint.state, (*checkpoint.state[:3], checkpoint.best_weights)
    history = [replace(record, seconds=0.0, samples_per_s=0.0) for record in checkpoint.history]
    texts = [str(state.steps_done), history_text(history)]
    return [*(text.encode() for text in texts), *(a.tobytes() for group in groups for a in group)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    generator = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = folder / "runs" / "killed" / "checkpoint"
        command = [sys.executable, "-m", "seq2seq_cli", "train", *OPTIONS, "-q",
                   "--checkpoint-seconds", "0.02", "--epochs", str(20 * args.kills)]  # fmt: skip
        resume: list[str] = []
        for kill in range(1, args.kills + 1):
            before = set(place.glob("*.json"))
            process = subprocess.Popen([*command, "--run", "killed", *resume], cwd=folder)
            while process.poll() is None and not set(place.glob("*.json")) - before:
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 0.5))
            process.kill()
            if process.wait() == 0:
                print(f"the training ended before the last {args.kills - kill + 1} kills")
                break
            resume = ["--resume"]
            steps = load_checkpoint(place.parent)[0].state.steps_done
            print(f"kill {kill}: the newest checkpoint is of step {steps:,}", flush=True)
        else:
            subprocess.run([*command, "--run", "killed", "--resume"], cwd=folder, check=True)
        subprocess.run([*command, "--run", "whole"], cwd=folder, check=True)
        killed, whole = arrays(folder / "runs" / "killed"), arrays(folder / "runs" / "whole")
        if killed != whole:
            sys.exit("the checkpoints differ")
        print(f"{len(whole) - 2} arrays and the histories are identical, bit for bit")


if __name__ == "__main__":
    main()
