"""A training from a configuration to a complete run's folder.

What can be known to be wrong is found before TensorFlow is imported and before a folder is touched;
that another has the folder is found before TensorFlow is imported too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import Plan, prepare
from seq2seq_cli.data.tasks import OWN_TASK, find_task
from seq2seq_cli.errors import StorageError
from seq2seq_cli.own_code import CALLBACK, check_function
from seq2seq_cli.resources import check_training
from seq2seq_cli.runs.advice import resume_command
from seq2seq_cli.runs.checkpoint import Checkpoint
from seq2seq_cli.runs.checkpoint_files import has_checkpoint, load_checkpoint
from seq2seq_cli.runs.claim import create_folder, reopen_folder
from seq2seq_cli.runs.folder import RunFolder
from seq2seq_cli.runs.listing import Run, open_run
from seq2seq_cli.runs.resumption import check_resumable, resumed_config
from seq2seq_cli.training.cluster import Cluster, read_cluster
from seq2seq_cli.training.events import OnEvent, Planned
from seq2seq_cli.training.process import configure_process, full_memory_named, import_keras

if TYPE_CHECKING:
    import keras

    from seq2seq_cli.training.exchange import Exchange
    from seq2seq_cli.training.program.loop import Loop
    from seq2seq_cli.training.trainer import Options

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Begin:
    """What the chief begins with: a plan, the folder that it holds, and what it resumes from."""

    plan: Plan
    folder: RunFolder
    checkpoint: Checkpoint | None = None
    notes: tuple[str, ...] = ()


def train(
    config: RunConfig,
    runs_dir: str | Path = "runs",
    run: str | None = None,
    force: bool = False,
    progress: OnEvent | None = None,
    *,
    resume: bool = False,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    callback: str = "",
    write_tensorboard: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Run | None:
    """Train the configured model and return its complete run.

    An epoch has `n_samples` new sequences, rounded up to whole batches; of own data it is one pass,
    and lengths and cardinality are those found, unless they are given. A task of one's own,
    path/to/file.py:function, is imported from that file. The run's folder is named after the task
    unless `run` names it. `callbacks` are standard Keras ones, and `callback` names a function
    in a file, path/to/file.py:function, that returns some. Checkpoints are written every
    `checkpoint_seconds` and at each epoch's end.

    With `resume` a training goes on from its last checkpoint, bit for bit: that of `run`, or the
    newest stopped one. Its settings are the saved ones; of those that `config` gives, epochs,
    stop_at, patience and validate_every may be others, and data may be elsewhere.

    Where TF_CONFIG names several workers they train together, all with the chief's configuration;
    the chief alone writes and has a run to return, the others return None.

    Raises ConfigurationError for bad settings and for a loss that is not finite, DataError for bad
    data, ExistsError for a named run that exists or is in use, ModelError where there is nothing to
    resume, and StorageError where reading or writing fails or another worker is gone.
    """
    runs_dir, cluster, report = Path(runs_dir), read_cluster(), progress or (lambda event: None)
    configure_process()
    if callback:
        check_function(CALLBACK, callback)
    with _begun(config, runs_dir, run, force, resume, cluster) as begin:
        report(_planned(begin, config, cluster))

        import_keras()
        from seq2seq_cli.training.compiled import SharedLoop
        from seq2seq_cli.training.exchange import Exchange, LostWorkerError
        from seq2seq_cli.training.trainer import Options, Trainer

        go_on = ""
        try:
            with full_memory_named():
                exchange = Exchange(cluster)
                exchange.check_all(None)  # one that has failed before this tells the others here
                plan = _agree(begin, config, exchange)
                go_on = exchange.share(_go_on(begin, callback).encode()).decode()
                loop = SharedLoop(exchange.strategy)
                options = Options(
                    report, checkpoint_seconds, callbacks, write_tensorboard, callback
                )
                if begin is None:
                    trainer = Trainer(plan, None, loop.begun(plan), exchange, options)
                    trainer.begin()
                    trainer.run()
                    return None
                train_begun(begin, loop.begun, exchange, options)
        except LostWorkerError as error:
            command = f", each with: {go_on}" if go_on else ""
            advice = f"start all workers again under their own TF_CONFIG{command}"
            raise StorageError(f"{error}: {advice}") from error
    return open_run(begin.folder.run.parent, begin.folder.run.name)


@contextmanager
def _begun(
    config: RunConfig, runs_dir: Path, run: str | None, force: bool, resume: bool, cluster: Cluster
) -> Iterator[Begin | None]:
    """Hold the folder to train in, as the chief; None in the other workers."""
    if not cluster.is_chief:
        yield None
    elif resume:
        with reopen_folder(runs_dir, run) as folder:
            begin = _resumed(config, folder)
            check_training(begin.plan.config, cluster.n_workers)
            yield begin
    else:
        plan = prepare(config)
        check_training(plan.config, cluster.n_workers)
        with create_folder(runs_dir, run, plan.config.task, force) as folder:
            yield Begin(plan, folder)


def train_begun(
    begin: Begin,
    loop_of: Callable[[Plan], "Loop"],
    exchange: "Exchange",
    options: "Options",
    go_on: str | None = None,
) -> None:
    """Train in a folder, as the chief, what begins or goes on there.

    `loop_of` returns a loop at the beginning of a plan. Who stops it is told the command `go_on`:
    None for the folder's own, empty where it is told elsewhere.
    """
    from seq2seq_cli.training.trainer import Trainer

    trainer = Trainer(begin.plan, begin.folder, loop_of(begin.plan), exchange, options)
    trainer.begin(begin.checkpoint, begin.notes)
    if go_on is None:
        more = _named(options.callback)
        go_on = resume_command(begin.folder.run, begin.plan.config.task, more)
    trainer.run(go_on)


def _resumed(config: RunConfig, folder: RunFolder) -> Begin:
    """Return what a stopped training resumes from; custom code is run only if `config` names it."""
    checkpoint, notes = load_checkpoint(folder.run)
    merged = resumed_config(checkpoint.config, config)
    check_resumable(checkpoint.config, merged)
    return Begin(prepare(merged, resumed=True), folder, checkpoint, tuple(notes))


def _go_on(begin: Begin | None, callback: str) -> str:
    """Return the command by which all workers go on if one is lost.

    It is empty where an earlier run's checkpoint may be all that there is then.
    """
    if begin is None:
        return ""
    run = begin.folder.run
    is_forced = not begin.checkpoint and has_checkpoint(run)
    return "" if is_forced else resume_command(run, begin.plan.config.task, _named(callback))


def _named(callback: str) -> list[str]:
    """Return the option that names a user's own callbacks; none where there are none."""
    return [CALLBACK, callback] if callback else []


def _planned(begin: Begin | None, config: RunConfig, cluster: Cluster) -> Planned:
    config = begin.plan.config if begin else config
    return Planned(
        epoch=1,
        epochs=config.training.epochs,
        config=config,
        report=begin.plan.report if begin and not begin.checkpoint else None,
        stream=begin.plan.stream if begin else None,
        resumed=begin.folder.run.name if begin and begin.checkpoint else "",
        worker=cluster.index + 1,
        n_workers=cluster.n_workers,
    )


def _agree(begin: Begin | None, config: RunConfig, exchange: "Exchange") -> Plan:
    """Return the plan of this process, made from the chief's configuration.

    Own data is this process's own file, which has to be the chief's by its hash; the pretrained
    embedding is the chief's.
    """
    table = None if begin is None else begin.plan.embedding
    settings = exchange.share(begin.plan.config.model_dump_json().encode() if begin else b"")
    values = exchange.share(b"" if table is None else table.tobytes())
    with exchange.checking():
        if begin:
            return begin.plan
        agreed = RunConfig.model_validate_json(settings)
        given = config.task.model_fields_set & {"data", "validation_data"}
        task = agreed.task.model_copy(update={key: getattr(config.task, key) for key in given})
        if OWN_TASK in task.name and config.task.name != task.name:
            find_task(task)  # says how to name it
        plan = prepare(agreed.model_copy(update={"task": task}), resumed=True)
        if values:
            embedding = np.frombuffer(values, np.float32).reshape(-1, agreed.model.embedding)
            plan = replace(plan, embedding=embedding)
        return plan
