"""From integers to padded batches: tasks, sampling, files, streams and the training plan."""
