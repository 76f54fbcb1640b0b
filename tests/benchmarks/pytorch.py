"""A PyTorch encoder-decoder on the integer task, as its users write it, with `nn.LSTM`.

    python tests/benchmarks/pytorch.py step|decode [--n-in 6] [--n-out 3] [--cardinality 51]
        [--units 128] [--embedding 0] [--attention] [--bidirectional] [--batch-size 64]
        [--n-samples 6400] [--rounds 3]

Measures training steps, or greedy decoding, of a number of samples: prints a line of JSON for each
round, with its seconds. A round begins when a line is read from standard input, so that another
program can be measured in turn. The decoder looks at the encoder's outputs by Luong's dot.
"""

import argparse
import json
import sys
import time

import torch
from torch.nn import functional


class EncoderDecoder(torch.nn.Module):
    def __init__(self, args):
        super().__init__()
        inputs, width = args.embedding or args.cardinality, args.units * (1 + args.bidirectional)
        if args.embedding:
            self.source = torch.nn.Embedding(args.cardinality, args.embedding)
            self.target = torch.nn.Embedding(args.cardinality, args.embedding)
        else:
            self.source = self.target = lambda ids: functional.one_hot(
                ids, args.cardinality
            ).float()
        options = {"batch_first": True}
        self.encoder = torch.nn.LSTM(
            inputs, args.units, bidirectional=args.bidirectional, **options
        )
        self.decoder = torch.nn.LSTM(inputs, width, **options)
        self.cell = torch.nn.LSTMCell(inputs, width)  # of random weights, which cost as much
        self.attention = args.attention
        if args.attention:
            self.keys = torch.nn.Linear(width, width, bias=False)
            self.combine = torch.nn.Linear(2 * width, width)
        self.output = torch.nn.Linear(width, args.cardinality)

    def encode(self, source):
        memory, state = self.encoder(self.source(source))
        state = tuple(part.transpose(0, 1).flatten(1)[None].contiguous() for part in state)
        return memory, self.keys(memory).transpose(1, 2) if self.attention else None, state

    def predict(self, values, memory, keys):
        if self.attention:
            context = torch.bmm(torch.bmm(values, keys).softmax(2), memory)
            values = self.combine(torch.cat([context, values], 2)).tanh()
        return self.output(values)

    def teacher_forced(self, source, shifted):
        memory, keys, state = self.encode(source)
        return self.predict(self.decoder(self.target(shifted), state)[0], memory, keys)

    def greedy(self, source, steps):
        memory, keys, state = self.encode(source)
        tokens = torch.zeros(len(source), dtype=torch.long)
        state = [part[0] for part in state]
        for _ in range(steps):
            state = self.cell(self.target(tokens), state)
            tokens = self.predict(state[0][:, None], memory, keys).argmax(2)[:, 0]


def train(model, batches, n_out):
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for source in batches:
        target = source[:, :n_out].flip(1)
        shifted = torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], 1)
        logits = model.teacher_forced(source, shifted)
        loss = functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def decode(model, batches, n_out):
    with torch.inference_mode():
        for source in batches:
            model.greedy(source, n_out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("step", "decode"))
    for name, value in (
        ("n-in", 6), ("n-out", 3), ("cardinality", 51), ("units", 128), ("embedding", 0),
        ("batch-size", 64), ("n-samples", 6400), ("rounds", 3),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--attention", action="store_true")
    parser.add_argument("--bidirectional", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = EncoderDecoder(args)
    sources = torch.randint(1, args.cardinality, (args.n_samples, args.n_in))
    batches = sources.split(args.batch_size)
    measured = train if args.what == "step" else decode
    measured(model, batches[:3], args.n_out)
    for _ in range(args.rounds):
        sys.stdin.readline()
        start = time.perf_counter()
        measured(model, batches, args.n_out)
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


main()
