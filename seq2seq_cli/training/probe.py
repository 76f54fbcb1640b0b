"""A small program, compiled or loaded in a separate process: `release` compares two of them."""

import os
import sys

import tensorflow as tf

from seq2seq_cli.training.program.naming import numbered_from


def main(n_traces: int) -> None:
    """Print the result of a small program, and what TensorFlow writes to standard error meanwhile.

    `n_traces` other programs are traced first: the names of cached programs must not depend on it.
    """
    os.dup2(1, 2)  # what was written while importing does not count
    for number in range(n_traces):
        tf.function(lambda x, number=number: x + number)(tf.zeros(2))
    state = tf.Variable(tf.eye(40))

    def program(inputs: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, product: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, tf.tanh(product @ inputs)

        product = tf.while_loop(lambda i, _: i < 3, step, (tf.constant(0), state.read_value()))[1]
        state.assign(product)
        return tf.reduce_sum(product)

    with numbered_from(1):
        compiled = tf.function(program, jit_compile=True, autograph=False)
        compiled.get_concrete_function(tf.TensorSpec((40, 40)))
    sys.stdout.write(f"{float(compiled(tf.fill((40, 40), 0.01))).hex()}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
