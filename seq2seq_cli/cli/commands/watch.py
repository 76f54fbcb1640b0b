"""`s2s watch`: follows a training from another terminal."""

import time

from seq2seq_cli.cli import options
from seq2seq_cli.cli.rendering import output

POLL_SECONDS = 1.0


def watch(
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    argument: options.RunArgument = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Follow a training from another terminal until it ends.

    There is a line for each validation, also for those before. Without a RUN it is the training
    that began last. The training is neither slowed down nor stopped.

      s2s watch
      s2s watch RUN --json
    """
    from seq2seq_cli.cli.rendering.training import validation_text
    from seq2seq_cli.runs.advice import resume_command
    from seq2seq_cli.runs.checkpoint import is_stopped, newest_description
    from seq2seq_cli.runs.history import history_line
    from seq2seq_cli.runs.listing import find_training, is_in_training, validations_so_far

    path, n_shown, is_running = find_training(runs_dir, options.one_run(argument, run)), 0, True
    output.end_with_reader()
    output.message(f"watching {path}; Ctrl-C ends only this command", quiet or as_json)
    while True:
        records = validations_so_far(path)
        for record in records[n_shown:]:
            text = f"epoch {record.epoch}/{record.epochs}: {validation_text(record)}"
            output.write(history_line(record) if as_json else text)
        output.flush()
        n_shown = len(records)
        if not is_running:
            break
        time.sleep(POLL_SECONDS)
        is_running = is_in_training(path)
    stopped = newest_description(path) if is_stopped(path) else None
    text = f"the training of {path} has ended"
    if stopped:
        text = f"stopped; resume with: {resume_command(path, stopped.config.task)}"
    output.message(text, quiet or as_json)
