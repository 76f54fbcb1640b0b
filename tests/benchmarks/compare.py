"""Whole processes side by side: `s2s` and its baselines in turn, medians and ratios.

    python tests/benchmarks/compare.py [--rounds 3] [--seeds 10] [--only NAME ...]
        [--torch-python PATH]

Runs in a temporary folder with the interpreter that it is started with, on a machine that should
do nothing else; nothing is installed. PyTorch may be that of another interpreter. Prints a line of
JSON for each measurement, and at the end the table in tests/README.md:

- epoch: the compiled loop against PyTorch's nn.LSTM and against the bare matrix products;
- start: `s2s train` with one batch against importing TensorFlow, and one prediction against
  importing NumPy and h5py;
- train: `s2s train` on the seed task against the tutorial's program;
- accuracy: exact match on 100,000 held-out sequences for each seed;
- evaluate: 100,000 sequences against the tutorial's sequences/s;
- predict: one sequence against Keras importing, loading and predicting;
- help: `s2s --help`;
- memory: peak of `s2s train` at 100,000 and at 2,000,000 samples.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
S2S = [sys.executable, "-m", "seq2seq_cli"]
SEED_TASK = ["--n-in", "6", "--n-out", "3", "--cardinality", "51"]
SOURCE = "22 17 23 5 29 11".split()
EPOCH_STEPS = -(-100_000 // 64)
RUN = "runs/reverse-prefix-6-3-51"
NAMES = ("epoch", "start", "train", "accuracy", "evaluate", "predict", "help", "memory")


def run(command: Sequence[str], folder: Path, cache: str = "kept") -> tuple[float, str]:
    """Return the whole process's wall seconds and what it printed.

    Compiled programs are kept in this folder; in none where it is empty.
    """
    # Without compiled modules each start would compile TensorFlow anew.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["S2S_CACHE_DIR"] = str(folder / cache) if cache else ""
    started = time.perf_counter()
    result = subprocess.run(
        command, cwd=folder, env=environment, check=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started, result.stdout


def peak_mb(command: Sequence[str], folder: Path) -> int:
    """Return the process's peak resident memory in MB, as the operating system counts it."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return int(run([sys.executable, "-c", code, *command], folder)[1]) // unit


def epoch(folder: Path, rounds: int, torch_python: str) -> dict[str, object]:
    """Time an epoch of 100,000 at batch 64 in the steady state, and the baselines', in turn."""
    figures: dict[str, list[float]] = {"s2s_s": [], "first_call_s": [], "torch_s": [], "gemm_s": []}
    code = "import importlib.util as u; print(u.find_spec('torch') is not None)"
    has_torch = run([torch_python, "-c", code], folder)[1].strip() == "True"
    for _ in range(rounds):
        printed = json.loads(
            run([sys.executable, str(HERE / "epoch.py"), "--rounds", "1"], folder)[1]
        )
        figures["s2s_s"].append(printed["epoch_s"])
        figures["first_call_s"].append(printed["first_call_s"])
        if has_torch:
            command = [torch_python, str(HERE / "torch_shapes.py"), "--rounds", "1"]
            printed = json.loads(run([*command, "--steps", str(EPOCH_STEPS)], folder)[1])
            figures["torch_s"].append(printed["ms_a_step"] * EPOCH_STEPS / 1000)
        printed = json.loads(run([sys.executable, str(HERE / "gemm_limit.py")], folder)[1])
        figures["gemm_s"].append(printed["epoch_s"])

    def ratio(name: str) -> float:
        return statistics.median(
            ours / theirs for ours, theirs in zip(figures["s2s_s"], figures[name], strict=True)
        )

    found: dict[str, object] = dict(figures)
    found["gemm_ratio"] = ratio("gemm_s")
    if has_torch:
        found["torch_ratio"] = ratio("torch_s")
    else:
        found["torch_s"] = "PyTorch is not installed"
    return found


def start(folder: Path, rounds: int) -> dict[str, object]:
    """Time what is not training, in turn with the imports that it cannot do without."""
    names = ("tensorflow_s", "first_s", "after_s", "numpy_h5py_s", "predict_s", "help_s")
    figures: dict[str, list[float]] = {name: [] for name in names}
    batch = [*S2S, "train", *SEED_TASK, "--n-samples", "64", "--run", "batch", "--force"]
    prediction = [*S2S, "predict", "--run", Path(RUN).name, " ".join(SOURCE)]
    for number in range(rounds + 1):
        commands = (
            ([sys.executable, "-c", "import tensorflow"], "kept"),
            (batch, f"new-{number}"),
            (batch, f"new-{number}"),
            ([sys.executable, "-c", "import numpy, h5py"], "kept"),
            (prediction, "kept"),
            ([*S2S, "--help"], "kept"),
        )
        for name, (command, cache) in zip(names, commands, strict=True):
            seconds = run(command, folder, cache)[0]
            if number:  # the first round warms the files
                figures[name].append(seconds)

    def ratio(ours: str, theirs: str) -> float:
        return statistics.median(a / b for a, b in zip(figures[ours], figures[theirs], strict=True))

    return {
        **figures,
        "first_ratio": ratio("first_s", "tensorflow_s"),
        "after_ratio": ratio("after_s", "tensorflow_s"),
        "predict_ratio": ratio("predict_s", "numpy_h5py_s"),
    }


def train(folder: Path, rounds: int) -> dict[str, object]:
    """Time the training, with and without a kept program, and the tutorial's program in turn."""
    ours, after, theirs, baseline = [], [], [], {}
    for _ in range(rounds):
        ours.append(run([*S2S, "train", *SEED_TASK, "--force"], folder, cache="")[0])
        after.append(run([*S2S, "train", *SEED_TASK, "--force"], folder)[0])
        seconds, printed = run([sys.executable, str(HERE / "tutorial.py")], folder)
        theirs.append(seconds)
        baseline = json.loads(printed)
    return {
        "s2s_s": ours,
        "after_s": after,
        "tutorial_s": theirs,
        "ratio": statistics.median(o / t for o, t in zip(ours, theirs, strict=True)),
        "after_ratio": statistics.median(a / t for a, t in zip(after, theirs, strict=True)),
        "tutorial_exact_match": baseline["exact_match"],
        "tutorial_sequences_per_s": baseline["evaluate_sequences_per_s"],
    }


def accuracy(folder: Path, seeds: int) -> dict[str, object]:
    """Train once a seed and evaluate each on 100,000 held-out sequences."""
    reached = []
    for seed in range(seeds):
        name = f"seed-{seed}"
        run([*S2S, "train", *SEED_TASK, "--seed", str(seed), "--run", name, "-q"], folder)
        command = [*S2S, "evaluate", "--run", name, "--n-samples", "100000", "--json"]
        reached.append(json.loads(run(command, folder)[1])["exact_match"])
    return {
        "exact_match": reached,
        "median": statistics.median(reached),
        "least": min(reached),
    }


def evaluate(folder: Path, rounds: int) -> dict[str, object]:
    """Time the evaluation of 100,000 held-out sequences."""
    command = [*S2S, "evaluate", "--run", Path(RUN).name, "--n-samples", "100000", "--json"]
    runs = [run(command, folder) for _ in range(rounds)]
    return {
        "s2s_s": [seconds for seconds, _ in runs],
        "sequences_per_s": statistics.median(json.loads(out)["sequences_per_s"] for _, out in runs),
    }


def predict(folder: Path, rounds: int) -> dict[str, object]:
    """Time one prediction against Keras' in turn."""
    ours, theirs = [], []
    for _ in range(rounds):
        command = [*S2S, "predict", "--run", Path(RUN).name, " ".join(SOURCE)]
        seconds, tokens = run(command, folder)
        ours.append(seconds)
        command = [sys.executable, str(HERE / "keras_predict.py"), RUN, *SOURCE]
        seconds, expected = run(command, folder)
        theirs.append(seconds)
        assert tokens == expected
    ratio = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
    return {"s2s_s": ours, "keras_s": theirs, "ratio": ratio}


def help_page(folder: Path, rounds: int) -> dict[str, object]:
    """Time the help."""
    return {"s2s_s": [run([*S2S, "--help"], folder)[0] for _ in range(rounds)]}


def memory(folder: Path) -> dict[str, object]:
    """Compare the peak memory of a short and a long training."""
    return {
        f"mb_at_{n}": peak_mb(
            [*S2S, "train", *SEED_TASK, "--n-samples", str(n), "--run", f"memory-{n}"], folder
        )
        for n in (100_000, 2_000_000)
    }


def main() -> None:
    """Run the measurements asked for and print each as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--torch-python", default=sys.executable)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run([*S2S, "train", *SEED_TASK, "-q"], folder)  # warms the caches; others evaluate it
        measurements = {
            "epoch": lambda: epoch(folder, args.rounds, args.torch_python),
            "start": lambda: start(folder, args.rounds),
            "train": lambda: train(folder, args.rounds),
            "accuracy": lambda: accuracy(folder, args.seeds),
            "evaluate": lambda: evaluate(folder, args.rounds),
            "predict": lambda: predict(folder, max(5, args.rounds)),
            "help": lambda: help_page(folder, max(5, args.rounds)),
            "memory": lambda: memory(folder),
        }
        found = {}
        for wanted in args.only:
            found[wanted] = _round(measurements[wanted]())
            print(json.dumps({wanted: found[wanted]}), flush=True)
    print_table(found)


def print_table(found: dict[str, dict[str, Any]]) -> None:
    """Print what was measured as the table in tests/README.md."""
    rows = []
    if f := found.get("epoch"):
        ours = f"{f['s2s_s']} s, and {f['first_call_s']} s to compile"
        torch = f"{f['torch_s']} s" if "torch_ratio" in f else f["torch_s"]
        what = "an epoch of 100,000, batch 64"
        rows.append((what, ours, f"{torch}, PyTorch's `nn.LSTM`", f.get("torch_ratio", "")))
        rows.append(("", "", f"{f['gemm_s']} s, its bare matrix products", f["gemm_ratio"]))
    if f := found.get("start"):
        tensorflow = f"{f['tensorflow_s']} s, importing TensorFlow"
        what = "`s2s train`, one batch"
        rows.append((f"{what}, the first time", f"{f['first_s']} s", tensorflow, f["first_ratio"]))
        rows.append((f"{what}, after it", f"{f['after_s']} s", tensorflow, f["after_ratio"]))
        libraries = f"{f['numpy_h5py_s']} s, importing NumPy and h5py"
        rows.append(
            ("`s2s predict`, one sequence", f"{f['predict_s']} s", libraries, f["predict_ratio"])
        )
        rows.append(("`s2s --help`", f"{f['help_s']} s", "", ""))
    if f := found.get("train"):
        tutorial = f"{f['tutorial_s']} s, the tutorial's program"
        what = "`s2s train`, seed task"
        rows.append((f"{what}, the first time", f"{f['s2s_s']} s", tutorial, f["ratio"]))
        rows.append((f"{what}, after it", f"{f['after_s']} s", tutorial, f["after_ratio"]))
    if f := found.get("accuracy"):
        reached = f"median {100 * f['median']:.3f} %, least {100 * f['least']:.3f} %"
        what = f"exact match on 100,000 held-out sequences, {len(f['exact_match'])} seeds"
        rows.append((what, reached, "some 99 %, the tutorial's settings", ""))
    if f := found.get("evaluate"):
        speed = f"{f['s2s_s']} s, {f['sequences_per_s']:,.0f} sequences/s"
        theirs = found.get("train", {}).get("tutorial_sequences_per_s", 0)
        baseline = f"{theirs} sequences/s, the tutorial's loop" if theirs else ""
        ratio = f"{f['sequences_per_s'] / theirs:,.0f} x" if theirs else ""
        rows.append(("`s2s evaluate --n-samples 100000`", speed, baseline, ratio))
    if f := found.get("predict"):
        keras = f"{f['keras_s']} s, Keras imports, loads and predicts"
        rows.append(("`s2s predict`, one sequence", f"{f['s2s_s']} s", keras, f["ratio"]))
    if f := found.get("help"):
        rows.append(("`s2s --help`", f"{f['s2s_s']} s", "", ""))
    if f := found.get("memory"):
        ours = ", ".join(f"{mb:,} MB at {key.rsplit('_')[-1]}" for key, mb in f.items())
        rows.append(("peak memory of `s2s train`", ours, "", ""))
    print("| what | s2s | baseline | ratio |\n| --- | --- | --- | --- |")
    for row in rows:
        print("|", " | ".join(map(str, row)), "|")


def _round(figures: dict[str, object]) -> dict[str, object]:
    """Return the figures with seconds rounded, and a median beside each list of them."""
    rounded: dict[str, object] = {}
    for key, value in figures.items():
        if key.endswith("_s") and isinstance(value, list):
            rounded[key] = round(statistics.median(value), 3)
            rounded[f"{key}_all"] = [round(seconds, 2) for seconds in value]
        else:
            rounded[key] = round(value, 3) if key.endswith("ratio") else value  # type: ignore[call-overload]
    return rounded


if __name__ == "__main__":
    main()
