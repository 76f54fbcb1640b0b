"""Inference with NumPy alone: reading the saved models, and decoding with them."""
