"""Training: the only home of TensorFlow and Keras, which are imported where a training begins."""
