"""Greedy decoding as a PyTorch user writes it: nn.LSTM reads, LSTMCell goes on step by step.

    python tests/benchmarks/torch_greedy.py [--n-in 6] [--n-out 3] [--cardinality 51] [--units 128]
        [--embedding 0] [--attention] [--bidirectional] [--batch-size 1000] [--n-samples 20000]
        [--rounds 5] [--threads N] [--in-turn]

Prints one JSON object a round: seconds, and sequences per second. The weights are random, which
costs as much. With --in-turn a round waits for a line on standard input, so that another program
can be measured between two.
"""

import argparse
import json
import sys
import time

import torch
from torch.nn import functional


class EncoderDecoder(torch.nn.Module):
    def __init__(self, cardinality, units, embedding, attention, bidirectional):
        super().__init__()
        self.cardinality, self.attention = cardinality, attention
        inputs, width = embedding or cardinality, units * (2 if bidirectional else 1)
        if embedding:
            self.source = torch.nn.Embedding(cardinality, embedding)
            self.target = torch.nn.Embedding(cardinality, embedding)
        else:
            self.source = self.target = self.one_hot
        self.encoder = torch.nn.LSTM(inputs, units, batch_first=True, bidirectional=bidirectional)
        self.decoder = torch.nn.LSTMCell(inputs, width)
        if attention:
            self.keys = torch.nn.Linear(width, width, bias=False)
            self.combine = torch.nn.Linear(2 * width, width)
        self.output = torch.nn.Linear(width, cardinality)

    def one_hot(self, ids):
        return functional.one_hot(ids, self.cardinality).float()

    def greedy(self, sources, steps):
        outputs, state = self.encoder(self.source(sources))
        state = [part.transpose(0, 1).flatten(1) for part in state]
        keys = self.keys(outputs).transpose(1, 2) if self.attention else None
        tokens, found = torch.zeros(len(sources), dtype=torch.long), []
        for _ in range(steps):
            state = self.decoder(self.target(tokens), state)
            values = state[0]
            if self.attention:
                weights = torch.bmm(values[:, None], keys).softmax(2)
                context = torch.bmm(weights, outputs)[:, 0]
                values = self.combine(torch.cat([context, values], 1)).tanh()
            tokens = self.output(values).argmax(1)
            found.append(tokens)
        return torch.stack(found, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-in", type=int, default=6)
    parser.add_argument("--n-out", type=int, default=3)
    parser.add_argument("--cardinality", type=int, default=51)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--embedding", type=int, default=0)
    parser.add_argument("--attention", action="store_true")
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--n-samples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--in-turn", action="store_true")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = EncoderDecoder(
        args.cardinality, args.units, args.embedding, args.attention, args.bidirectional
    )
    sources = torch.randint(1, args.cardinality, (args.n_samples, args.n_in))
    with torch.inference_mode():
        model.greedy(sources[: args.batch_size], args.n_out)
        for _ in range(args.rounds):
            if args.in_turn:
                sys.stdin.readline()
            start = time.perf_counter()
            for i in range(0, args.n_samples, args.batch_size):
                model.greedy(sources[i : i + args.batch_size], args.n_out)
            seconds = time.perf_counter() - start
            speed = round(args.n_samples / seconds)
            print(json.dumps({"seconds": seconds, "sequences_per_s": speed}), flush=True)


main()
