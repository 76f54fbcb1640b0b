"""`s2s runs`: lists, compares, removes and renames runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import one_line, table
from seq2seq_cli.errors import ConfigurationError, ModelError

if TYPE_CHECKING:
    from seq2seq_cli.runs.listing import ListedRun, Run

ACTIONS = {"compare": "runs compare RUN RUN...", "rm": "runs rm NAME...", "mv": "runs mv OLD NEW"}
"""What `s2s runs` does to the runs that follow the word, and how it is called."""


def _words(context: typer.Context) -> list[str]:
    return [*ACTIONS, *options.run_names(context)]


def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ACTION",
            help="compare RUN RUN..., rm NAME..., or mv OLD NEW; without one, list the runs.",
            autocompletion=_words,
        ),
    ] = None,
    compare: Annotated[
        bool, option("--compare", "The same as `runs compare`: --compare RUN RUN...", "List")
    ] = False,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    task: Annotated[
        str | None,
        option(
            "--task", "Only runs of this task.", "List", "NAME", autocompletion=options.task_names
        ),
    ] = None,
    by: Annotated[
        Literal["date", "exact", "name"],
        option("--sort", "Oldest first, best first, or by name.", "List"),
    ] = "date",
    limit: Annotated[
        int | None,
        option("--limit", "List at most this many: the newest, best or first.", "List", min=1),
    ] = None,
    removed: Annotated[
        list[str] | None,
        option(
            "--remove",
            "The same as `runs rm NAME`: remove a run, or a sweep with its runs.",
            "Change",
            "NAME",
            autocompletion=options.run_names,
        ),
    ] = None,
    renamed: Annotated[
        tuple[str, str] | None,
        option(
            "--rename",
            "The same as `runs mv OLD NEW`: rename a run or a sweep.",
            "Change",
            "OLD NEW",
            autocompletion=options.run_names,
        ),
    ] = None,
    is_sure: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", "--force", help="Remove without asking.", rich_help_panel="Change"
        ),
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List, compare, remove or rename the runs.

    The list has the exact match of each run's validation in training, and the training's time. The
    seeds of a training are one line, and so are the runs of a sweep: how many are complete, the
    median and range of their exact match, and their time in all. --limit lists each seed, and
    --runs-dir RUNS/SWEEP a sweep's runs. Other commands use the newest complete run by default.

      s2s runs --sort exact --limit 5
      s2s runs compare RUN OTHER
    """
    if names and not compare:
        if removed or renamed:
            raise ConfigurationError(f"{names[0]}: remove it, or --remove and --rename")
        match names:
            case ["compare", *names]:
                compare = True
            case ["rm", _, *_]:
                removed = names[1:]
            case ["mv", old, new]:
                renamed = old, new
            case _:
                usage = ACTIONS.get(names[0]) or " or ".join(ACTIONS.values())
                raise ConfigurationError(f"runs {' '.join(names)}: use {usage}")
    if removed or renamed:
        if removed and renamed:
            raise ConfigurationError("--remove and --rename: use only one of the two")
        if removed:
            _remove(runs_dir, removed, is_sure, quiet)
        if renamed:
            _rename(runs_dir, *renamed, quiet)
        return
    from seq2seq_cli.runs.advice import train_command
    from seq2seq_cli.runs.listing import chosen, list_runs, several_seeds
    from seq2seq_cli.sweep.listing import list_sweeps

    options.check_compared(names, compare)
    output.end_with_reader()
    if compare:
        _compare(list(dict.fromkeys(names or [])), runs_dir, as_json, quiet)
        return
    every = list_runs(runs_dir)
    listed = chosen(every, runs_dir, task, by, limit)
    sweeps = [] if task or limit else list_sweeps(runs_dir)  # these select runs
    if as_json:
        for name, complete, planned in sweeps:
            counts = {"complete_runs": complete, "runs": planned}
            output.write_json({"kind": "sweep", "name": name, **counts})
        for item in listed:
            document: dict[str, object] = {"kind": "run", "name": item.name}
            document["complete"] = item.run is not None
            if item.run:
                document["config"] = item.run.config.model_dump()
                document["validation"] = item.run.manifest.results.model_dump()
                document["completed_at"] = item.run.manifest.completed_at
                document["under_way"] = item.under_way
            else:
                document["problem"] = item.problem
            output.write_json(document)
        return
    if not listed and not sweeps:
        none = f"there are no runs in {runs_dir}: train one with `{train_command(runs_dir)}`"
        output.message(f"there are no runs of {task} in {runs_dir}" if every else none, quiet)
    seeds = {} if limit else several_seeds(listed)
    groups = [_summary(f"{name}-seed-...", str(len(group)), group) for name, group in seeds.items()]
    for name, complete, planned in sweeps:
        cells = [item.run for item in list_runs(runs_dir / name) if item.run]
        groups.append(_summary(name, f"{complete} of {planned}", cells))
    if groups:
        columns = ("name", ">runs", ">median", "range", ">time")
        table(f"Sweeps and several seeds in {runs_dir}", columns, groups)
    grouped = {run.name for group in seeds.values() for run in group}
    rows = [_row(item) for item in listed if item.name not in grouped]
    if rows:
        columns = ("run", "task", "attention", ">validation", ">time")
        table(f"Runs in {runs_dir}", columns, rows)
    for item in listed:
        if item.problem.startswith("damaged: "):
            output.write(f"{item.name} is {item.problem}")
        if item.under_way:
            output.write(f"the next training of {item.name}: {_state(item.under_way)}")


def _summary(name: str, n_runs: str, complete: "Sequence[Run]") -> tuple[str, ...]:
    """Return the row of the complete runs of a sweep, or of several seeds."""
    from seq2seq_cli.metrics import spread_text

    shares = [run.manifest.results.exact_match for run in complete]
    seconds = sum(run.manifest.seconds for run in complete)
    return name, n_runs, *spread_text(shares), output.duration(seconds)


def _row(item: "ListedRun") -> tuple[Any, ...]:
    """Return the row of a run: its task, attention, exact match and the time of its training."""
    from seq2seq_cli.metrics import exact_match_text
    from seq2seq_cli.runs.names import task_lengths

    if not item.run:
        return item.name, one_line(_state(item.problem.split(": ")[0])), "", "", ""
    task, manifest = item.run.config.task, item.run.manifest
    lengths = " → ".join(task_lengths(task))
    learned = one_line(f"{lengths} of {task.cardinality}, {task.data or task.name}")
    attention = item.run.config.model.attention.replace("none", "")
    accuracy, time = exact_match_text(manifest.results), output.duration(manifest.seconds)
    return item.name, learned, attention, accuracy, time


def _state(text: str) -> str:
    return "stopped, --resume continues it" if text == "stopped" else text


def _compare(names: list[str], runs_dir: Path, as_json: bool, quiet: bool) -> None:
    """Print the final validation results and costs of some runs, and the settings that differ."""
    from seq2seq_cli.evaluation_data import compare_runs
    from seq2seq_cli.metrics import difference_text, exact_match_text, interval_text
    from seq2seq_cli.runs.listing import open_run
    from seq2seq_cli.settings import differing_settings

    opened = [open_run(runs_dir, name) for name in names]
    configs = [run.config for run in opened]
    results, costs = [run.manifest.results for run in opened], [run.costs() for run in opened]
    settings, (differences, notes) = differing_settings(configs), compare_runs(configs, results)
    if as_json:
        keys = ("difference", "difference_low", "difference_high")
        each = [
            {
                "name": name,
                "validation": result.model_dump(),
                **dict(zip(keys, above or [None] * 3, strict=True)),
                **cost,
            }
            for name, result, above, cost in zip(names, results, differences, costs, strict=True)
        ]
        by_run = {key: dict(zip(names, values, strict=True)) for key, values in settings.items()}
        output.write_json({"runs": each, "settings": by_run, "notes": notes})
        return
    rows = [
        (name, exact_match_text(result), interval_text(result), *difference_text(above))
        for name, result, above in zip(names, results, differences, strict=True)
    ]
    columns = ("run", ">exact match", ">95% interval", ">difference", ">95% interval")
    bars = [result.exact_match for result in results]
    table(f"Validation in training; differences to {names[0]} in points", columns, rows, bars)
    figures = {
        "loss": [f"{result.loss:.6f}" for result in results],
        "parameters": [f"{cost['parameters']:,}" for cost in costs],
        "time": [output.duration(cost["seconds"]) for cost in costs],
        "sequences trained on": [f"{cost['sequences_trained_on']:,}" for cost in costs],
        **settings,
    }
    listed = [(key, *values) for key, values in figures.items()]
    table("Training, and settings that differ", ("", *names), listed)
    if not settings:
        output.write("All settings are the same.")
    for note in notes:
        output.message(f"note: {note}", quiet)


def _remove(runs_dir: Path, names: Sequence[str], is_sure: bool, quiet: bool) -> None:
    """Remove runs and sweeps, after asking for confirmation on a terminal.

    All are looked up before any is removed. Raises ConfigurationError without a terminal.
    """
    from seq2seq_cli.runs.claim import remove_run
    from seq2seq_cli.sweep.listing import is_sweep, remove_sweep

    folders = [_find(runs_dir, name) for name in dict.fromkeys(names)]
    if not is_sure:
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"{names[0]}: there is no terminal to confirm its removal: add --yes"
            )
        listed = ", ".join(
            f"the sweep {folder} and its runs," if is_sweep(folder) else str(folder)
            for folder in folders
        )
        sys.stderr.write(f"remove {listed} with all checkpoints and models? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            output.message("nothing was removed", quiet)
            return
    for folder in folders:
        gone = remove_sweep(folder) if is_sweep(folder) else remove_run(folder)
        rest = "" if gone else "; other files are left there"
        output.message(f"removed {folder}{rest}", quiet)


def _rename(runs_dir: Path, old: str, new: str, quiet: bool) -> None:
    """Rename a run or a sweep; a run of a sweep keeps its name."""
    from seq2seq_cli.runs.claim import rename_run
    from seq2seq_cli.sweep.listing import is_sweep, rename_sweep

    folder = _find(runs_dir, old)
    if is_sweep(folder.parent):
        raise ConfigurationError(f"{old}: its sweep knows it by that name")
    if folder.name == new:
        raise ConfigurationError(f"{new}: {folder} already has this name")
    renamed = (rename_sweep if is_sweep(folder) else rename_run)(folder, new)
    output.message(f"{folder} is now {renamed}", quiet)


def _find(runs_dir: Path, name: str) -> Path:
    """Return the path of a run or a sweep; raises what `find_run` raises."""
    from seq2seq_cli.runs.listing import find_run
    from seq2seq_cli.runs.names import run_path
    from seq2seq_cli.sweep.listing import is_sweep

    folder = run_path(runs_dir, name.rstrip("/"))
    if not is_sweep(folder):
        return find_run(runs_dir, name)
    if folder.is_symlink():
        raise ModelError(f"{folder} is a link to a sweep: give the sweep's own name")
    return folder
