"""What is compiled: the training step's arithmetic, and the loop of many such steps."""
