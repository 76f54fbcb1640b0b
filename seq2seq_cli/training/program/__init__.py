"""The compiled program: the arithmetic of a training step, and the loop of many steps."""
