"""A PyTorch training of the integer task until it is learned, as its users write it: nn.LSTM.

    python tests/benchmarks/torch_learning.py default|long [--seed 0] [--threads 2]

The model, its initial learning rate, schedule and batches are those of `configs/default.toml` and
`configs/long.toml`; the second has attention with learned biases for relative positions. Prints one
JSON object: the process's seconds until enough of the held-out sequences are exact.
"""

import time

START = time.perf_counter()

import argparse
import json
import math

import torch
from torch.nn import functional

SHAPES = {
    "default": {
        "n_in": 6, "n_out": 3, "units": 128, "embedding": 0, "steps": 1563, "rate": 0.01, "clip": 0,
        "every": 100, "stop_at": 0.9999,
    },
    "long": {
        "n_in": 400, "n_out": 40, "units": 64, "embedding": 64, "steps": 200, "rate": 0.005,
        "clip": 1.0, "every": 25, "stop_at": 0.999,
    },
}  # fmt: skip
CARDINALITY, BATCH, N_HELD_OUT, RADIUS, SCALE, DROPPED = 51, 64, 10_000, 4, 20, 0.2


class EncoderDecoder(torch.nn.Module):
    def __init__(self, units, embedding):
        super().__init__()
        self.attends = bool(embedding)
        inputs, width = embedding or CARDINALITY, units * (2 if self.attends else 1)
        self.source = torch.nn.Embedding(CARDINALITY, embedding) if embedding else one_hot
        self.target = torch.nn.Embedding(CARDINALITY, embedding) if embedding else one_hot
        self.encoder = torch.nn.LSTM(inputs, units, batch_first=True, bidirectional=self.attends)
        self.decoder = torch.nn.LSTM(inputs, width, batch_first=True)
        if self.attends:
            self.keys = torch.nn.Linear(width, width, bias=False)
            self.combine = torch.nn.Linear(2 * width, width)
            self.biases = torch.nn.Parameter(torch.zeros(4, 2 * RADIUS + 1))
        self.output = torch.nn.Linear(width, CARDINALITY)

    def forward(self, source, shifted):
        memory, state = self.encoder(self.source(source))
        state = tuple(part.transpose(0, 1).flatten(1)[None].contiguous() for part in state)
        tokens = self.target(shifted)
        if self.attends and self.training:
            kept = torch.rand(shifted.shape) >= DROPPED
            tokens = tokens * kept[..., None] / (1 - DROPPED)
        values, _ = self.decoder(tokens, state)
        if self.attends:
            memory = functional.pad(memory, (0, 0, 1, 1))
            scores = torch.bmm(values, self.keys(memory).transpose(1, 2))
            scores = scores + self.position_scores(source.shape[1], shifted.shape[1])
            context = torch.bmm(scores.softmax(2), memory)
            values = self.combine(torch.cat([context, values], 2)).tanh()
        return self.output(values)

    def position_scores(self, n_in, n_out):
        j, t = torch.arange(-1, n_in + 1)[None], torch.arange(n_out)[:, None]
        left, end = n_out - 1 - t, n_in - 1 - j
        offsets = (j - t, j - left, end - t, end - left)
        pairs = zip(self.biases, offsets, strict=True)
        return SCALE * sum(bias[offset.clamp(-RADIUS, RADIUS) + RADIUS] for bias, offset in pairs)


def one_hot(ids):
    return functional.one_hot(ids, CARDINALITY).float()


def draw(n, shape, generator):
    source = torch.randint(1, CARDINALITY, (n, shape["n_in"]), generator=generator)
    target = source[:, : shape["n_out"]].flip(1)
    return source, torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], 1), target


def exact_match(model, batches):
    model.eval()
    with torch.no_grad():
        exact = [(model(s, shifted).argmax(-1) == t).all(1) for s, shifted, t in batches]
    model.train()
    return torch.cat(exact).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=SHAPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    shape = SHAPES[args.name]
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    model = EncoderDecoder(shape["units"], shape["embedding"])
    optimizer = torch.optim.Adam(model.parameters())
    held_out = [draw(500, shape, generator) for _ in range(N_HELD_OUT // 500)]
    warm_up = round(0.05 * shape["steps"])
    for step in range(shape["steps"]):
        done = max(0, step - warm_up) / (shape["steps"] - warm_up)
        rate = min(1, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = shape["rate"] * rate
        source, shifted, target = draw(BATCH, shape, generator)
        loss = functional.cross_entropy(model(source, shifted).flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        if shape["clip"]:
            torch.nn.utils.clip_grad_norm_(model.parameters(), shape["clip"])
        optimizer.step()
        if (step + 1) % shape["every"] == 0 or step + 1 == shape["steps"]:
            exact = exact_match(model, held_out)
            if exact >= shape["stop_at"]:
                break
    result = {"seconds": time.perf_counter() - START, "steps": step + 1, "exact_match": exact}
    print(json.dumps(result))


main()
