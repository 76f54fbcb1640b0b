"""What a training writes to the disk: a run's folder, its manifest and its checkpoints."""
