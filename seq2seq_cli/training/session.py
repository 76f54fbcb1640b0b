"""A training from a configuration to a complete run's folder.

Every problem that can be known in advance is found before a folder is touched. A folder that
another process uses is found before TensorFlow is imported.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq_cli.config import RunConfig
from seq2seq_cli.custom_code import CALLBACK, check_function
from seq2seq_cli.data.plan import Plan, prepare
from seq2seq_cli.resources import check_training
from seq2seq_cli.runs.advice import resume_command
from seq2seq_cli.runs.checkpoint import Checkpoint, load_checkpoint
from seq2seq_cli.runs.claim import create_folder, reopen_folder
from seq2seq_cli.runs.folder import RunFolder
from seq2seq_cli.runs.listing import Run, open_run
from seq2seq_cli.runs.resumption import check_resumable, find_resumable, resumed_config
from seq2seq_cli.storage import sha256_of
from seq2seq_cli.training.cluster import Cluster, join, read_cluster
from seq2seq_cli.training.events import OnEvent, Planned
from seq2seq_cli.training.process import configure_process, full_memory_named, import_keras
from seq2seq_cli.training.stopping import to_go_on_from

if TYPE_CHECKING:
    import keras

    from seq2seq_cli.training.program.loop import Loop
    from seq2seq_cli.training.trainer import Options

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Begin:
    """The start of a training: a plan, the folder that it holds, and what it resumes from."""

    plan: Plan
    folder: RunFolder | None = None  # None for workers other than the chief
    checkpoint: Checkpoint | None = None
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of what must be equal in all workers; settings include the data's hashes."""
        weights = self.checkpoint.state.weights if self.checkpoint else []
        settings = self.plan.config.model_dump_json().encode()
        return sha256_of(b"".join([settings, *(array.tobytes() for array in weights)]))


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

    An epoch has `n_samples` new sequences, rounded up to whole batches. With custom data it is one
    pass, and the data determines lengths and cardinality, unless they are set. A custom task,
    path/to/file.py:function, is imported from that file. The run's folder is named after the task
    unless `run` names it. `callbacks` are standard Keras ones, and `callback` names a function
    in a file, path/to/file.py:function, that returns some. Checkpoints are written every
    `checkpoint_seconds` and at the end of each epoch.

    With `resume` a training continues from its last checkpoint, bit for bit: that of `run`, or the
    newest stopped one. It uses the saved settings; `config` may change only epochs, stop_at,
    patience and validate_every, and the location of data files.

    If TF_CONFIG names several workers they train together, all with the same settings and data;
    to resume, all of them must see the run's folder. Only the chief writes and returns the run; the
    others return None.

    Raises ConfigurationError for bad settings, workers that differ, or a loss that is not finite,
    DataError for bad data, ExistsError if a named run exists or is in use, ModelError if there is
    nothing to resume, and StorageError if reading or writing fails or another worker is lost.
    """
    runs_dir, cluster, report = Path(runs_dir), read_cluster(), progress or (lambda event: None)
    configure_process()
    if callback:
        check_function(CALLBACK, callback)
    with _begun(config, runs_dir, run, force, resume, cluster) as begin:
        report(_planned(begin, cluster))

        import_keras()
        from seq2seq_cli.training.compiled import SharedLoop
        from seq2seq_cli.training.distribution import find_strategy
        from seq2seq_cli.training.trainer import Options

        if cluster.n_workers > 1:
            join(cluster, begin.digest)
        with full_memory_named():
            loop = SharedLoop(find_strategy(cluster)).begun(begin.plan)
            options = Options(report, checkpoint_seconds, callbacks, write_tensorboard, callback)
            train_begun(begin, loop, options)
    if begin.folder is None:
        return None
    return open_run(begin.folder.run.parent, begin.folder.run.name)


@contextmanager
def _begun(
    config: RunConfig, runs_dir: Path, run: str | None, force: bool, resume: bool, cluster: Cluster
) -> Iterator[Begin]:
    """Hold the folder to train in; only the chief has one."""
    if not cluster.is_chief:
        yield _resumed(config, find_resumable(runs_dir, run)) if resume else Begin(prepare(config))
    elif resume:
        with reopen_folder(runs_dir, run) as folder:
            begin = replace(_resumed(config, folder.run), folder=folder)
            check_training(begin.plan.config, cluster.n_workers)
            yield begin
    else:
        plan = prepare(config)
        check_training(plan.config, cluster.n_workers)
        with create_folder(runs_dir, run, plan.config.task, force) as folder:
            yield Begin(plan, folder)


def train_begun(begin: Begin, loop: "Loop", options: "Options", go_on: str | None = None) -> None:
    """Begin or resume a training with a loop that is at the beginning of its plan.

    `go_on` is the command shown when the training is stopped: None for the one that resumes this
    run, empty if the caller shows it.
    """
    from seq2seq_cli.training.trainer import Trainer

    trainer = Trainer(begin.plan, begin.folder, loop, options)
    trainer.begin(begin.checkpoint, begin.notes)
    if go_on is None and begin.folder:
        named = [CALLBACK, options.callback] if options.callback else []
        go_on = resume_command(begin.folder.run, begin.plan.config.task, named)
    trainer.run(go_on or "")


def _resumed(config: RunConfig, run: Path) -> Begin:
    """Return the start of a resumed training; custom code is run only if `config` names it."""
    checkpoint, notes = load_checkpoint(run)
    merged = resumed_config(checkpoint.config, config)
    check_resumable(checkpoint.config, merged)
    plan = prepare(merged, resumed=True)
    checkpoint = to_go_on_from(checkpoint, plan.config, run)
    return Begin(plan, checkpoint=checkpoint, notes=tuple(notes))


def _planned(begin: Begin, cluster: Cluster) -> Planned:
    config = begin.plan.config
    return Planned(
        epoch=1,
        epochs=config.training.epochs,
        config=config,
        report=begin.plan.report,
        stream=begin.plan.stream,
        resumed=begin.folder.run.name if begin.folder and begin.checkpoint else "",
        worker=cluster.index + 1,
        n_workers=cluster.n_workers,
    )
