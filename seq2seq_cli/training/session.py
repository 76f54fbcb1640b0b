"""Trainings from a configuration to complete runs, under one seed or several.

Every problem that can be known in advance is found before a folder is touched. A folder that
another process uses is found before TensorFlow is imported.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from seq2seq_cli.config import RunConfig
from seq2seq_cli.custom_code import CALLBACK, check_function
from seq2seq_cli.data.plan import Plan, wrong_settings
from seq2seq_cli.errors import ConfigurationError, LossError, Stopped
from seq2seq_cli.resources import check_training
from seq2seq_cli.runs.advice import resume_command
from seq2seq_cli.runs.listing import Run, SeedRun, open_run
from seq2seq_cli.runs.names import runs_path
from seq2seq_cli.runs.resumption import State
from seq2seq_cli.settings import Settings, from_keywords, with_settings
from seq2seq_cli.training.cluster import Cluster, join, read_cluster
from seq2seq_cli.training.events import OnEvent, Planned, SeedBegun, SeedFailed
from seq2seq_cli.training.process import configure_process, full_memory_named, import_keras
from seq2seq_cli.training.start import Options, Start, hold_start, new_seeds, resumed_seeds

if TYPE_CHECKING:
    import keras

CHECKPOINT_SECONDS = 60.0


@with_settings
def train(
    config: RunConfig | None = None,
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
    **settings: Unpack[Settings],
) -> Run | None:
    """Train a model and return its complete run.

    The settings are keywords, such as `units=64`; they change those of `config` or the defaults.
    `s2s init all` explains them.

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
    config = from_keywords(config, settings, None if resume else wrong_settings)
    report, cluster = progress or (lambda event: None), _set_up(callback)
    options = Options(report, checkpoint_seconds, callbacks, write_tensorboard, callback)
    with hold_start(config, runs_path(runs_dir), run, force, resume, cluster) as start:
        plan, folder = start.plan, start.folder
        resumed = folder.run.name if folder and start.checkpoint else ""
        worker, n_workers = cluster.index + 1, cluster.n_workers
        report(_planned(plan, resumed=resumed, worker=worker, n_workers=n_workers))
        train_from = _load(start, cluster, options)
        named = [CALLBACK, callback] if callback else []
        train_from(start, resume_command(folder.run, plan.config.task, named) if folder else "")
    return open_run(folder.run.parent, folder.run.name) if folder else None


@with_settings
def train_seeds(
    config: RunConfig | None = None,
    n_seeds: int = 5,
    runs_dir: str | Path = "runs",
    run: str | None = None,
    force: bool = False,
    progress: OnEvent | None = None,
    *,
    resume: bool = False,
    callback: str = "",
    write_tensorboard: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    **settings: Unpack[Settings],
) -> list[SeedRun]:
    """Train a configuration under `n_seeds` seeds, starting at its seed; return all results.

    The settings are keywords, as for `train`.

    The seeds are trained one after the other, with the same weights as by `train`, bit for bit, but
    the program is compiled once. The function that `callback` names is called for each seed. The
    runs are named after `run`, or the task: NAME-seed-0 and so on. Every problem that can be known
    in advance is found before the first seed begins. A loss that is not finite ends only the
    training of its seed.

    With `resume` complete runs are kept, stopped ones resume, and the others begin, all with the
    saved settings of the first; without `run` it resumes the seeds whose run was saved last.
    Settings may change as for `train`.

    Raises what `train` raises, and ConfigurationError if TF_CONFIG names several workers.
    """
    config = from_keywords(config, settings, None if resume else wrong_settings)
    report, cluster = progress or (lambda event: None), _set_up(callback)
    if cluster.n_workers > 1:
        raise ConfigurationError(
            f"seeds = {n_seeds}: TF_CONFIG names {cluster.n_workers} workers, which train one seed "
            "together: use only one of the two"
        )
    options = Options(report, checkpoint_seconds, (), write_tensorboard, callback)
    find = resumed_seeds if resume else new_seeds
    seeds = find(config, n_seeds, runs_path(runs_dir), run, force)
    epochs = seeds.plan.config.training.epochs

    def result(seed: int, problem: str = "") -> SeedRun:
        path, stream = seeds.folder(seed), seeds.plan.with_seed(seed).stream
        run = None if problem else open_run(path.parent, path.name)
        return SeedRun(seed, path, stream, run, problem)

    def announce(seed: int) -> bool:
        is_complete = seeds.states[seed] is State.COMPLETE
        report(SeedBegun(1, epochs, seed, seeds.folder(seed).name, is_complete))
        return is_complete

    incomplete = [seed for seed, state in seeds.states.items() if state is not State.COMPLETE]
    if not incomplete:
        for seed in seeds.states:
            announce(seed)
        return [result(seed) for seed in seeds.states]
    check_training(seeds.plan.config)
    with ExitStack() as held:  # before TensorFlow is imported, as `train` does
        first_start = held.enter_context(seeds.hold_start(incomplete[0]))
        report(_planned(seeds.plan, n_seeds=len(seeds.states)))
        train_from = _load(first_start, cluster, options)

        def train_seed(seed: int) -> SeedRun:
            if announce(seed):
                return result(seed)
            try:
                with held.pop_all() as stack:
                    is_first = seed == incomplete[0]
                    start = first_start if is_first else stack.enter_context(seeds.hold_start(seed))
                    train_from(start, "")
            except LossError as error:
                report(SeedFailed(1, epochs, seed, str(error)))
                return result(seed, str(error))
            return result(seed)

        try:
            return [train_seed(seed) for seed in seeds.states]
        except (Stopped, KeyboardInterrupt) as error:
            command = seeds.resume_command([CALLBACK, callback] if callback else [])
            advice = f"; resume with: {command}" if command else ""
            raise type(error)(f"{str(error) or 'interrupted'}{advice}") from None


def _set_up(callback: str) -> Cluster:
    """Prepare this process for a training; return the workers that it belongs to."""
    cluster = read_cluster()
    configure_process()
    if callback:
        check_function(CALLBACK, callback)
    return cluster


def _planned(plan: Plan, **more: Any) -> Planned:
    return Planned(1, plan.config.training.epochs, plan.config, plan.report, plan.stream, **more)


def _load(start: Start, cluster: Cluster, options: Options) -> Callable[[Start, str], None]:
    """Import TensorFlow and meet the other workers of the training from this start.

    Return a function that trains from a start; all its trainings share one compiled program. It
    takes the command that resumes the training, to be shown if it is stopped.
    """
    import_keras()
    from seq2seq_cli.training.distribution import SharedLoop
    from seq2seq_cli.training.trainer import Trainer

    if cluster.n_workers > 1:
        join(cluster, start.digest)
    loop = SharedLoop(cluster)

    def train_from(start: Start, command: str) -> None:
        with full_memory_named():
            Trainer(start, loop.begin(start.plan), options).run(command)

    return train_from
