"""Sweeps: which cells are trained, where they are trained, and their results."""
