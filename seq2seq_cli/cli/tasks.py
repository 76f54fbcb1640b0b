"""`s2s tasks`: what can be learned."""

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import Json

EXAMPLE = [22, 17, 23, 5, 29, 11]
EXAMPLE_N_OUT = 3
EXAMPLE_CARDINALITY = 51


def tasks(as_json: Json = False) -> None:
    """List the tasks, each with an example."""
    import numpy as np

    from seq2seq_cli.data.tasks import TASKS

    output.end_with_reader()
    source = np.array([EXAMPLE], np.int32)
    rows = [
        (
            task.name,
            task.summary,
            task.targets(source, EXAMPLE_N_OUT, EXAMPLE_CARDINALITY)[0].tolist(),
        )
        for task in TASKS.values()
    ]
    if as_json:
        for name, summary, target in rows:
            output.write_json(
                {"name": name, "summary": summary, "source": EXAMPLE, "target": target}
            )
        return
    output.table(
        f"Tasks, with the target of {output.format_ids(EXAMPLE)} (n_out = {EXAMPLE_N_OUT})",
        ("task", "target", "example"),
        [(name, summary, output.format_ids(target)) for name, summary, target in rows],
    )
