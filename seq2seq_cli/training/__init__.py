"""Training: the only package that uses TensorFlow and Keras, imported when a training begins."""
