"""What a user would write instead: PyTorch's fused nn.LSTM on the same task, sizes and batch.

    python tests/benchmarks/torch_lstm.py [--batch-size 64] [--learning-rate 0.003]
        [--n-samples 100000] [--epochs 2]

Prints one JSON object an epoch: seconds, samples per second, last loss.
"""

import argparse
import json
import time

import torch
from torch.nn import functional

N_IN, N_OUT, CARDINALITY, UNITS = 6, 3, 51, 128


class EncoderDecoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.LSTM(CARDINALITY, UNITS, batch_first=True)
        self.decoder = torch.nn.LSTM(CARDINALITY, UNITS, batch_first=True)
        self.output = torch.nn.Linear(UNITS, CARDINALITY)

    def forward(self, source, shifted):
        _, state = self.encoder(functional.one_hot(source, CARDINALITY).float())
        hidden, _ = self.decoder(functional.one_hot(shifted, CARDINALITY).float(), state)
        return self.output(hidden)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--n-samples", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = EncoderDecoder()
    optimizer = torch.optim.Adam(model.parameters(), args.learning_rate)
    source = torch.randint(1, CARDINALITY, (args.n_samples, N_IN))
    target = source[:, :N_OUT].flip(1)
    shifted = torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], 1)
    for epoch in range(args.epochs):
        start = time.perf_counter()
        for i in range(0, args.n_samples, args.batch_size):
            rows = slice(i, i + args.batch_size)
            logits = model(source[rows], shifted[rows])
            loss = functional.cross_entropy(logits.flatten(0, 1), target[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - start
        print(
            json.dumps(
                {
                    "epoch": epoch,
                    "seconds": round(seconds, 3),
                    "samples_per_s": round(args.n_samples / seconds),
                    "loss": loss.item(),
                }
            )
        )


main()
