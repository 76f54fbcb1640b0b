"""How an epoch's seconds and memory grow with length, units and cardinality: the README's table.

    python tests/benchmarks/scaling.py [--unroll]

Each row is a process of its own, `epoch.py`, that trains some steps at batch 64. With `--unroll`
it compares unrolled and looped LSTMs instead, and prints after how many optimizer steps the longer
compilation has paid: the rule of `training.forward`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

EPOCH = Path(__file__).with_name("epoch.py")
SIZES = [
    *((n_in, 128, 51) for n_in in (6, 24, 96, 384)),
    *((6, units, 51) for units in (64, 256, 512)),
    *((6, 128, cardinality) for cardinality in (501, 5_001, 50_000)),
]


def measure(n_in: int, units: int, cardinality: int, *options: str) -> dict[str, float]:
    """Return what `epoch.py` prints for 64,000 sequences or, where that is long, fewer."""
    heavy = n_in * units * units / 128**2 + cardinality / 200
    call = max(3, int(200 / heavy))
    command = [
        sys.executable, str(EPOCH), "--n-in", str(n_in), "--n-out", str(n_in // 2), "--units",
        str(units), "--cardinality", str(cardinality), "--call", str(min(100, call)),
        "--n-samples", str(64 * min(1000, 5 * call)), *options,
    ]  # fmt: skip
    result = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)  # fmt: skip
    figures: dict[str, float] = json.loads(result.stdout)
    figures["ms_a_step"] = figures["epoch_s"] / min(1000, 5 * call) * 1000
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unroll", action="store_true")
    if parser.parse_args().unroll:
        print("| n_in → n_out | unrolled | looped | even after steps | a step of the longest |")
        print("| --- | --- | --- | --- | --- |")
        for n_in in (6, 12, 24, 36):
            yes = measure(n_in, 128, 51, "--unroll", "yes")
            no = measure(n_in, 128, 51, "--unroll", "no")
            saved = (no["ms_a_step"] - yes["ms_a_step"]) / 1000
            even = (yes["first_call_s"] - no["first_call_s"]) / saved
            cells = [f"{f['first_call_s']:.1f} s + {f['ms_a_step']:.1f} ms" for f in (yes, no)]
            print(f"| {n_in} → {n_in // 2} |", *cells, f"{even:.0f}", f"{even / n_in:.0f} |",
                  sep=" | ", flush=True)  # fmt: skip
        return
    print("| n_in → n_out | units | cardinality | first call | ms a step | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    for n_in, units, cardinality in SIZES:
        figures = measure(n_in, units, cardinality)
        print(
            f"| {n_in} → {n_in // 2} | {units} | {cardinality:,} | {figures['first_call_s']:.1f} s "
            f"| {figures['ms_a_step']:.1f} | {figures['peak_mb']:,.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
