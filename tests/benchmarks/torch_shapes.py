"""A PyTorch encoder-decoder of any shape on the integer task, as its users write it: nn.LSTM.

    python tests/benchmarks/torch_shapes.py [--n-in 6] [--n-out 3] [--cardinality 51] [--units 128]
        [--embedding 0] [--attention] [--batch-size 64] [--steps 100] [--rounds 3]

With --attention the encoder is bidirectional and the decoder looks at its outputs (Luong's dot).
Prints one JSON object: milliseconds a training step in the best of the rounds.
"""

import argparse
import json
import time

import torch
from torch.nn import functional


class EncoderDecoder(torch.nn.Module):
    def __init__(self, cardinality, units, embedding, attention):
        super().__init__()
        self.cardinality, self.attention = cardinality, attention
        inputs, width = embedding or cardinality, units * (2 if attention else 1)
        self.source = torch.nn.Embedding(cardinality, embedding) if embedding else None
        self.target = torch.nn.Embedding(cardinality, embedding) if embedding else None
        self.encoder = torch.nn.LSTM(inputs, units, batch_first=True, bidirectional=attention)
        self.decoder = torch.nn.LSTM(inputs, width, batch_first=True)
        if attention:
            self.keys = torch.nn.Linear(width, width, bias=False)
            self.combine = torch.nn.Linear(2 * width, width)
        self.output = torch.nn.Linear(width, cardinality)

    def embed(self, ids, table):
        return functional.one_hot(ids, self.cardinality).float() if table is None else table(ids)

    def forward(self, source, shifted):
        memory, state = self.encoder(self.embed(source, self.source))
        state = tuple(part.transpose(0, 1).flatten(1)[None].contiguous() for part in state)
        values, _ = self.decoder(self.embed(shifted, self.target), state)
        if self.attention:
            weights = torch.bmm(values, self.keys(memory).transpose(1, 2)).softmax(2)
            values = self.combine(torch.cat([torch.bmm(weights, memory), values], 2)).tanh()
        return self.output(values)


def main():
    parser = argparse.ArgumentParser()
    for name, value in (
        ("n-in", 6), ("n-out", 3), ("cardinality", 51), ("units", 128), ("embedding", 0),
        ("batch-size", 64), ("steps", 100), ("rounds", 3),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--attention", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = EncoderDecoder(args.cardinality, args.units, args.embedding, args.attention)
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    shape = (args.steps, args.batch_size, args.n_in)
    source = torch.randint(1, args.cardinality, shape)
    target = source[..., : args.n_out].flip(2)
    shifted = torch.cat([torch.zeros_like(target[..., :1]), target[..., :-1]], 2)
    best = float("inf")
    for number in range(args.rounds + 1):
        steps = args.steps if number else min(3, args.steps)
        started = time.perf_counter()
        for i in range(steps):
            logits = model(source[i], shifted[i])
            loss = functional.cross_entropy(logits.flatten(0, 1), target[i].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if number:
            best = min(best, (time.perf_counter() - started) / steps)
    print(json.dumps({"ms_a_step": best * 1000}))


main()
