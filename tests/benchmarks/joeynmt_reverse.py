"""JoeyNMT's reversal model: trained on a folder's pairs, then asked two files of them.

    python tests/benchmarks/joeynmt_reverse.py FOLDER

To be run with an interpreter that has joeynmt and importlib_metadata. FOLDER has the pairs as
lines of integers, `.src` and `.trg`: train, dev, same, longer. The model and its training are those
of JoeyNMT's own rnn_reverse: embeddings of 16, LSTMs of 64 units with a bidirectional encoder,
Luong's attention with input feeding, dropout of 0.1, Adam, one epoch in batches of 10. Prints a
JSON object: the training process's wall and processor seconds, and exact match on both files.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

# PyTorch no longer knows an argument that JoeyNMT 2.3 gives its scheduler.
JOEYNMT = """
import runpy, torch.optim.lr_scheduler as schedulers
class ReduceLROnPlateau(schedulers.ReduceLROnPlateau):
    def __init__(self, *arguments, verbose=False, **named):
        super().__init__(*arguments, **named)
schedulers.ReduceLROnPlateau = ReduceLROnPlateau
runpy.run_module("joeynmt", run_name="__main__")
"""

LONGEST = 30


def side(language: str) -> dict[str, object]:
    return {"lang": language, "max_length": LONGEST, "level": "word", "voc_limit": 100,
            "voc_min_freq": 0}  # fmt: skip


def part(**settings: object) -> dict[str, object]:
    return {"type": "recurrent", "rnn_type": "lstm", "hidden_size": 64, "dropout": 0.1,
            "embeddings": {"embedding_dim": 16, "scale": False}, "num_layers": 1,
            **settings}  # fmt: skip


def configuration(folder: Path) -> dict[str, object]:
    """Return JoeyNMT's settings; it trains on `train` and tests `same` and `longer`."""
    return {
        "name": "reverse", "joeynmt_version": "2.3.0", "model_dir": str(folder / "model"),
        "use_cuda": False, "fp16": False, "random_seed": 42,
        "data": {
            "train": str(folder / "train"), "dev": str(folder / "dev"),
            "test": str(folder / "same"), "src": side("src"), "trg": side("trg"),
            "dataset_type": "plain",
        },
        "testing": {
            "n_best": 1, "beam_size": 1, "beam_alpha": 1.0, "eval_metrics": ["bleu"],
            "max_output_length": LONGEST + 2, "batch_size": 10, "batch_type": "sentence",
            "return_prob": "none", "sacrebleu_cfg": {"tokenize": "13a"},
        },
        "training": {
            "optimizer": "adam", "learning_rate": 0.001, "learning_rate_min": 0.0002,
            "weight_decay": 0.0, "clip_grad_norm": 1.0, "batch_size": 10,
            "batch_type": "sentence", "scheduling": "plateau", "patience": 5,
            "decrease_factor": 0.5, "early_stopping_metric": "bleu", "epochs": 1,
            "validation_freq": 1000, "logging_freq": 100, "overwrite": True, "shuffle": True,
            "print_valid_sents": [0], "keep_best_ckpts": 2,
        },
        "model": {
            "initializer": "xavier_uniform", "embed_initializer": "normal",
            "embed_init_weight": 0.1, "bias_initializer": "zeros", "init_rnn_orthogonal": False,
            "lstm_forget_gate": 0.0, "encoder": part(bidirectional=True),
            "decoder": part(hidden_dropout=0.1, input_feeding=True, init_hidden="zero",
                            attention="luong", activation="tanh"),
        },
    }  # fmt: skip


def joeynmt(*arguments: str) -> None:
    subprocess.run([sys.executable, "-c", JOEYNMT, *arguments], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   # With more threads the processor time doubles, and little is won.
                   env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1])
    settings = configuration(folder)
    file = folder / "configuration.yaml"
    file.write_text(json.dumps(settings))  # which is YAML too
    started = time.perf_counter()
    joeynmt("train", str(file), "--skip-test")
    found: dict[str, object] = {"wall_s": round(time.perf_counter() - started, 1)}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found["cpu_s"] = round(used.ru_utime + used.ru_stime, 1)
    for name, key in (("same", "exact_match"), ("longer", "exact_match_26_to_30")):
        settings["data"]["test"] = str(folder / name)
        file.write_text(json.dumps(settings))
        joeynmt("test", str(file), "-o", str(folder / f"{name}.found"))
        said = (folder / f"{name}.found.test").read_text().splitlines()
        asked = (folder / f"{name}.trg").read_text().splitlines()
        pairs = zip(said, asked, strict=True)
        found[key] = sum(line.strip() == right.strip() for line, right in pairs) / len(asked)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
