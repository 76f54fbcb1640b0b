"""What `s2s predict` saves: Keras imports, loads a run's two inference models, and predicts.

python tests/benchmarks/keras_predict.py runs/reverse-prefix-6-3-51 22 17 23 5 29 11
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

CARDINALITY, N_OUT = 51, 3

folder = Path(sys.argv[1])
encoder = keras.models.load_model(folder / "inference_encoder.keras")
decoder = keras.models.load_model(folder / "inference_decoder.keras")
one_hot = np.eye(CARDINALITY, dtype=np.float32)
state = encoder.predict(one_hot[[[int(value) for value in sys.argv[2:]]]], verbose=0)
token, tokens = 0, []
for _ in range(N_OUT):
    probabilities, *state = decoder.predict([one_hot[[[token]]], *state], verbose=0)
    token = int(probabilities[0, 0].argmax())
    tokens.append(token)
print(*tokens)
