"""What a training leaves on the disk: a run's folder, its manifest and its checkpoints."""
