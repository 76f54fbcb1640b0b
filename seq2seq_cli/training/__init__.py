"""Training: the only home of TensorFlow and Keras."""
