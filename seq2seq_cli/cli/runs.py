"""`s2s runs`: what has been trained."""

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from seq2seq_cli.cli.report import percent


def runs(runs_dir: RunsDir = DEFAULT_RUNS_DIR, as_json: Json = False) -> None:
    """List the runs with their accuracy.

    The newest completed run, which is what other commands take, stands last before any incomplete
    ones.
    """
    from seq2seq_cli.runs import list_runs

    output.end_with_reader()
    listed = list_runs(runs_dir)
    if as_json:
        for item in listed:
            document: dict[str, object] = {"name": item.name, "complete": item.run is not None}
            if item.run:
                document["config"] = item.run.config.model_dump()
                document |= item.run.manifest.results.model_dump()
                document["completed_at"] = item.run.manifest.completed_at
            else:
                document["problem"] = item.problem
            output.write_json(document)
        return
    if not listed:
        output.message(f"there are no runs in {runs_dir}: train one with `s2s train`")
        return
    rows = []
    for item in listed:
        if item.run:
            config, results = item.run.config, item.run.manifest.results
            sizes = f"{config.task.n_in} → {config.task.n_out}, {config.task.cardinality} ids"
            trained = f"{config.training.epochs} x {config.training.n_samples:,}"
            units = str(config.model.units)
            completed = item.run.manifest.completed_at[:16].replace("T", " ")
            rows.append((item.name, sizes, units, trained, percent(results.exact_match), completed))
        else:
            rows.append((item.name, item.problem, "", "", "", ""))
    columns = ("run", "sizes", ">units", ">trained on", ">exact match", "completed (UTC)")
    output.table(f"Runs in {runs_dir}", columns, rows)
