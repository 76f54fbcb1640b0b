"""`s2s runs`: what has been trained."""

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from seq2seq_cli.cli.report import percent


def runs(runs_dir: RunsDir = DEFAULT_RUNS_DIR, as_json: Json = False) -> None:
    """List the runs with their accuracy.

    The newest completed run, which is what other commands take, stands last before any incomplete
    ones. A sweep's runs are listed in its own folder, which is named.
    """
    from seq2seq_cli.runs.advice import list_command, train_command
    from seq2seq_cli.runs.listing import list_runs
    from seq2seq_cli.sweep.listing import list_sweeps

    output.end_with_reader()
    listed = list_runs(runs_dir)
    if as_json:
        for item in listed:
            document: dict[str, object] = {"name": item.name, "complete": item.run is not None}
            if item.run:
                document["config"] = item.run.config.model_dump()
                document |= item.run.manifest.results.model_dump()
                document["completed_at"] = item.run.manifest.completed_at
                document["under_way"] = item.under_way
            else:
                document["problem"] = item.problem
            output.write_json(document)
        return
    for name, complete, begun in list_sweeps(runs_dir):
        output.message(
            f"sweep {name}: {complete} of {begun} runs complete; {list_command(runs_dir / name)}"
        )
    if not listed:
        output.message(
            f"there are no runs in {runs_dir}: train one with `{train_command(runs_dir)}`"
        )
        return
    rows = []
    for item in listed:
        if item.run:
            config, results = item.run.config, item.run.manifest.results
            task, training = config.task, config.training
            sizes = f"{task.n_in} → {task.n_out} of {task.cardinality}"
            samples = f"{training.epochs * training.n_samples:,}"
            accuracy = percent(results.exact_match)
            completed = item.run.manifest.completed_at[:10]
            if item.under_way:
                completed += f" ({item.under_way})"
            rows.append((item.name, sizes, str(config.model.units), samples, accuracy, completed))
        else:
            rows.append((item.name, "", "", "", "", item.problem.split(": ")[0]))
    columns = ("run", "n_in → n_out", ">units", ">samples", ">exact", "completed")
    output.table(f"Runs in {runs_dir}", columns, rows)
    for item in listed:
        if item.problem.startswith("damaged: "):
            output.write(f"{item.name} is {item.problem}")
