"""From integers to padded batches, and nothing else: tasks, sampling, files, streams, a plan."""
