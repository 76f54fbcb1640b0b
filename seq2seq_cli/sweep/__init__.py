"""A grid of settings -> runs, on an executor: what is trained, by whom, and what came of it."""
