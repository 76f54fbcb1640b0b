"""`s2s sweep`: trains a grid of settings under several seeds."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError, Stopped, StorageError

if TYPE_CHECKING:
    from seq2seq_cli.sweep.executors import Workers
    from seq2seq_cli.sweep.folder import SweepFolder
    from seq2seq_cli.sweep.session import Prepared, Result


def sweep(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|NAME",
            help="A TOML file that describes the sweep, or a shipped one; see `s2s init`.",
            autocompletion=options.sweep_names,
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        option("--grid", "Values of a setting; may be repeated.", metavar="SECTION.KEY=VALUE,..."),
    ] = None,
    derive: Annotated[
        list[str] | None,
        option(
            "--derive",
            'A setting that depends on another: "task.n_out = task.n_in / 2", rounded down.',
            metavar="RULE",
        ),
    ] = None,
    one_factor: Annotated[
        bool, option("--one-factor", "Change one setting at a time, without combinations.")
    ] = False,
    seeds: Annotated[int | None, option("--seeds", "Number of seeds per cell. [3]", min=1)] = None,
    config_file: options.ConfigFile = None,
    settings: options.SetOptions = None,
    tasks: Annotated[
        list[str] | None,
        option(
            "--task",
            "A custom task of the sweep, to be imported; may be repeated.",
            metavar="FILE.py:FUNCTION",
        ),
    ] = None,
    until: Annotated[
        tuple[float, str] | None,
        option(
            "--until",
            "Search for the largest value that still reaches this exact match: double the setting, "
            "then bisect. With --grid, search its values.",
            metavar="SHARE SETTING",
        ),
    ] = None,
    name: Annotated[
        str | None, option("--name", "The sweep's name. [that of FILE]", metavar="NAME")
    ] = None,
    resume: Annotated[
        str | None,
        option(
            "--resume",
            "Resume a sweep; --grid and --seeds extend it, FILE replaces its description.",
            metavar="NAME",
        ),
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", "Show the cells without training them.")] = False,
    time_budget: Annotated[
        Any,
        option(
            "--time-budget",
            "Start no cell that would not end in time: 90s, 10m or 2h.",
            metavar="TIME",
            parser=options.parse_seconds,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            "Number of cells at a time; they share the cores. [as many as fit]",
            min=1,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        option("--scheduler", "Train on the workers of a Dask cluster.", metavar="ADDRESS"),
    ] = None,
    shard: Annotated[
        Any,
        option(
            "--shard",
            "Train only every N-th cell, from the I-th on, counted from 0.",
            metavar="I/N",
            parser=options.parse_share,
        ),
    ] = None,
    checkpoint_seconds: options.CheckpointSeconds = 60,
    csv_file: Annotated[
        Path | None,
        option("--output", "Write a CSV file with a line per cell and seed.", metavar="FILE"),
    ] = None,
    force: options.Force = False,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a grid of settings under several seeds.

    It maps how far a model generalizes. A cell is a combination of settings; each of its seeds
    becomes a run, SWEEP/CELL-seed-0 and so on, which the other commands take. What is complete is
    never trained again.

      s2s sweep --grid task.n_in=6,12,24 --derive "task.n_out = task.n_in / 2"
      s2s sweep lengths --dry-run
      s2s sweep --resume NAME
      s2s sweep --until 0.99 task.n_in
    """
    from seq2seq_cli.cli.rendering.sweep import cells_as_json, show_cells, show_plan
    from seq2seq_cli.runs.advice import sweep_command
    from seq2seq_cli.runs.names import check_name
    from seq2seq_cli.shipped import SWEEPS, find_file
    from seq2seq_cli.storage import check_replaceable, make_folder
    from seq2seq_cli.sweep.description import (
        Sweep,
        default_name,
        extend,
        parse_settings,
        read_sweep,
        with_options,
    )
    from seq2seq_cli.sweep.executors import check_jobs, dask_workers, local_workers, threads_each
    from seq2seq_cli.sweep.folder import SweepFolder, new_folder, shared_folder
    from seq2seq_cli.sweep.grid import Axis
    from seq2seq_cli.sweep.session import prepare_sweep

    if csv_file is not None:
        if csv_file.suffix != ".csv":
            raise ConfigurationError(f"--output {csv_file}: the name should end in .csv")
        check_replaceable(csv_file, force, "another --output")
    if jobs is not None:
        check_jobs(jobs)
    config_file = find_file(config_file) if config_file else None
    file = find_file(file, SWEEPS) if file else None
    if name:
        check_name(name)
    described = read_sweep(file) if file else None
    folder = None
    if resume:
        fixed = {"--config": config_file, "--set": settings, "--derive": derive, "--until": until,
                 "--one-factor": one_factor, "--name": name}  # fmt: skip
        for refused in (option for option, value in fixed.items() if value):
            raise ConfigurationError(
                f"{refused} with --resume: a sweep keeps its settings; remove it"
            )
        if force and not csv_file:
            raise ConfigurationError(
                "--force with --resume: it needs --output, the file to replace"
            )
        folder = SweepFolder(runs_dir / check_name(resume), shard)
        requested = extend(folder.read(), described, grid or [], seeds)
    else:
        requested = with_options(
            described or Sweep(), config_file, settings or [], grid or [], derive or [],
            one_factor, seeds, until,
        )  # fmt: skip
    typed = Sweep(parse_settings(settings or []), tuple(map(Axis.parse, grid or [])))
    requested = requested.with_tasks([*(tasks or []), *typed.custom_tasks()])
    prepared = prepare_sweep(requested, folder, shard, 1 if scheduler else jobs or 1)
    slots = 1 if scheduler else jobs or prepared.fitting_jobs
    if folder is None:
        default = name or (file.stem if file else default_name(requested))
        if csv_file and csv_file.resolve() == (runs_dir / default).resolve():
            raise ConfigurationError(f"--output {csv_file}: the sweep has that folder")
        if shard:
            folder = shared_folder(runs_dir, default, requested, shard)
            prepared = prepare_sweep(requested, folder, shard)
        else:
            folder = new_folder(runs_dir, name, default)
    with dask_workers(scheduler) if scheduler else local_workers(slots) as workers:
        if dry_run:
            output.end_with_reader()
            if as_json:
                for line in cells_as_json(prepared):
                    output.write_json(line)
            else:
                show_cells(prepared)
                show_plan(prepared, slots, threads_each(slots), quiet)
            return
        make_folder(folder.path)
        share = f"{shard[0]}/{shard[1]}" if shard else None
        kept = {"--jobs": jobs, "--scheduler": scheduler, "--output": csv_file, "--shard": share}
        words = [str(word) for pair in kept.items() if pair[1] is not None for word in pair]
        command = sweep_command(folder.path, requested.custom_tasks(), words)
        limits = {"deadline": None if time_budget is None else time.monotonic() + time_budget,
                  "shard": shard, "checkpoint_seconds": checkpoint_seconds}  # fmt: skip
        result = _run(prepared, folder, workers, as_json, quiet, limits, command)
    if csv_file:
        result.write_table(csv_file)
    # The results so far are in the file already.
    _show(result, as_json, quiet, command + " --force" * (csv_file is not None))


def _run(
    prepared: "Prepared",
    folder: "SweepFolder",
    workers: "Workers",
    as_json: bool,
    quiet: bool,
    limits: dict[str, Any],
    command: str,
) -> "Result":
    """Run a sweep and show its progress; the error after a stop has the command to resume."""
    from seq2seq_cli.cli.rendering.sweep import SweepProgress, show_plan
    from seq2seq_cli.sweep.session import run_sweep

    is_quiet = quiet or as_json
    show_plan(prepared, max(1, workers.slots()), workers.threads, is_quiet)
    with SweepProgress(prepared, as_json, is_quiet) as progress:
        try:
            return run_sweep(prepared, folder, workers, progress.show, **limits)
        except (Stopped, KeyboardInterrupt, StorageError) as error:
            raise type(error)(f"{str(error) or 'interrupted'}; resume with: {command}") from None


def _show(result: "Result", as_json: bool, quiet: bool, command: str) -> None:
    """Show the results of a sweep.

    Raises the error of the cells that failed, and ConfigurationError without time for any cell.
    """
    from seq2seq_cli.cli.rendering.sweep import result_as_json, show_result
    from seq2seq_cli.runs.advice import list_command

    if as_json:
        for line in result_as_json(result):
            output.write_json(line)
    elif result.ended:
        show_result(result, quiet)
    path, names = result.folder.path, ", ".join(planned.name for planned in result.left)
    left = f"not started, the time budget is used up: {names}; resume with: {command}"
    error = result.error
    if result.left and not error and not any(cell.seconds for cell in result.ended):
        error = ConfigurationError(left)
    elif result.left:
        output.message(left, quiet)
    elif not as_json:
        output.message(f"saved in {path}; next: {list_command(path)}", quiet)
    if error:
        raise error
