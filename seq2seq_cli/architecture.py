"""The model's layers: their names, widths and arrays, from a configuration.

Training builds the Keras models from it, inference checks a run's files against it, and the memory
and time of a model are computed from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from seq2seq_cli.config import RunConfig

ENCODER_LAYER = "encoder_lstm"
DECODER_LAYER = "decoder_lstm"
SOURCE_EMBEDDING = "source_embedding"
TARGET_EMBEDDING = "target_embedding"
KEYS_LAYER = "attention_keys"
BIAS_LAYER = "attention_bias"
COMBINING_LAYER = "attention_output"
OUTPUT_LAYER = "output"

N_BIASES = 4
BIAS_SCALE = 20.0
"""Factor of attention's biases, which lets them learn faster than Adam's rate and get sharp."""

Shape = tuple[int, ...]

LSTM_SETTINGS: Mapping[str, object] = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
}


@dataclass(frozen=True)
class Layer:
    """A stock Keras layer that has weights: its name, its class, and its arrays' shapes.

    `settings` are the Keras settings that the arithmetic of inference relies on.
    """

    name: str
    kind: str
    shapes: tuple[Shape, ...]
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def parameters(self) -> int:
        """Number of its weights."""
        return sum(prod(shape) for shape in self.shapes)


@dataclass(frozen=True)
class Architecture:
    """An encoder-decoder model's layers, in the order in which values pass through them.

    `n_input` and `n_output` are the numbers of ids in sources and in targets. The decoder is as
    wide as the states that it starts from: `units`, or twice that after a bidirectional encoder.
    """

    n_input: int
    n_output: int
    units: int
    layers: int = 1
    bidirectional: bool = False
    attention: Literal["none", "dot"] = "none"
    attention_radius: int = 0
    embedding: int = 0
    target_length: int | None = None  # None if targets have an end of sequence

    @classmethod
    def of(cls, config: RunConfig) -> "Architecture":
        """Return the architecture that a configuration describes."""
        task, model = config.task, config.model
        return cls(
            task.cardinality,
            task.cardinality + int(task.has_end),
            model.units,
            model.layers,
            model.bidirectional,
            model.attention,
            model.attention_radius,
            model.embedding,
            None if task.has_end else task.n_out,
        )

    @property
    def width(self) -> int:
        """Width of the decoder's states, and of the encoder's outputs."""
        return self.units * (2 if self.bidirectional else 1)

    @property
    def source_embedding(self) -> Layer | None:
        """The embedding of sources, unless they are one-hot."""
        return self._embedding(SOURCE_EMBEDDING, self.n_input)

    @property
    def target_embedding(self) -> Layer | None:
        """The embedding of the decoder's inputs, unless they are one-hot."""
        return self._embedding(TARGET_EMBEDDING, self.n_output)

    @property
    def encoder_lstms(self) -> tuple[Layer, ...]:
        """The encoder's LSTMs; a bidirectional layer has the forward LSTM's arrays first."""
        first = self.embedding or self.n_input
        stack = []
        for number in range(self.layers):
            name = numbered(ENCODER_LAYER, number)
            shapes = _lstm_shapes(self.width if number else first, self.units)
            if self.bidirectional:
                settings: Mapping[str, object] = {"merge_mode": "concat"}
                stack.append(Layer(name, "Bidirectional", shapes * 2, settings))
            else:
                stack.append(_lstm(name, shapes))
        return tuple(stack)

    @property
    def decoder_lstms(self) -> tuple[Layer, ...]:
        """The decoder's LSTMs."""
        first = self.embedding or self.n_output
        return tuple(
            _lstm(
                numbered(DECODER_LAYER, number),
                _lstm_shapes(self.width if number else first, self.width),
            )
            for number in range(self.layers)
        )

    @property
    def attention_layers(self) -> tuple[Layer, ...]:
        """The projection to keys, the layer that combines context and output, the position biases.

        The score of source position j at target step t is query . key + BIAS_SCALE (a[j - t] +
        b[j - s] + c[i - t] + d[i - s]). Here i = n - 1 - j counts the n source tokens from the end,
        and s = target_length - 1 - t the target tokens; s = -t if targets have an end of sequence.
        Offsets are clipped to -attention_radius and attention_radius. The source has a zero vector
        before its first and after its last token. Relative positions in attention: Shaw, Uszkoreit
        and Vaswani 2018; scalar biases: Raffel et al. 2020.
        """
        if self.attention == "none":
            return ()
        table = ((2 * self.attention_radius + 1, 1),)
        n_biases = N_BIASES if self.attention_radius else 0
        keys, combining = ((self.width, self.width),), ((2 * self.width, self.width), (self.width,))
        return (
            Layer(KEYS_LAYER, "Dense", keys, {"use_bias": False, "activation": "linear"}),
            Layer(COMBINING_LAYER, "Dense", combining, {"use_bias": True, "activation": "tanh"}),
            *(Layer(numbered(BIAS_LAYER, i), "Embedding", table) for i in range(n_biases)),
        )

    @property
    def output(self) -> Layer:
        """The layer that computes the tokens' probabilities."""
        shapes = ((self.width, self.n_output), (self.n_output,))
        return Layer(OUTPUT_LAYER, "Dense", shapes, {"use_bias": True, "activation": "softmax"})

    @property
    def encoder_layers(self) -> tuple[Layer, ...]:
        """The encoder's layers that have weights."""
        return tuple(layer for layer in (self.source_embedding, *self.encoder_lstms) if layer)

    @property
    def decoder_layers(self) -> tuple[Layer, ...]:
        """The decoder's layers that have weights."""
        layers = (
            self.target_embedding,
            *self.decoder_lstms,
            *self.attention_layers,
            self.output,
        )
        return tuple(layer for layer in layers if layer)

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        """All layers that have weights."""
        return self.encoder_layers + self.decoder_layers

    @property
    def parameters(self) -> int:
        """Number of the model's weights."""
        return sum(layer.parameters for layer in self.all_layers)

    def _embedding(self, name: str, rows: int) -> Layer | None:
        return Layer(name, "Embedding", ((rows, self.embedding),)) if self.embedding else None


def numbered(name: str, number: int) -> str:
    """Return the name of layer `number` from 0: encoder_lstm, encoder_lstm_2 and so on."""
    return f"{name}_{number + 1}" if number else name


def _lstm(name: str, shapes: tuple[Shape, ...]) -> Layer:
    return Layer(name, "LSTM", shapes, {**LSTM_SETTINGS, "go_backwards": False})


def _lstm_shapes(inputs: int, units: int) -> tuple[Shape, ...]:
    """Return the shapes of an LSTM's kernel, recurrent kernel and bias."""
    return (inputs, 4 * units), (units, 4 * units), (4 * units,)
