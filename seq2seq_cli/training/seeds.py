"""One configuration under several seeds: a complete run each, by one compiled program."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.custom_code import CALLBACK, check_function
from seq2seq_cli.data.streams import TrainingStream
from seq2seq_cli.errors import ConfigurationError, LossError, Stopped
from seq2seq_cli.resources import check_training
from seq2seq_cli.runs.listing import Run, open_run
from seq2seq_cli.runs.resumption import State
from seq2seq_cli.training.batch import Batch, new_batch, resumed_batch
from seq2seq_cli.training.cluster import read_cluster
from seq2seq_cli.training.events import OnEvent, Planned, SeedBegun, SeedFailed
from seq2seq_cli.training.process import configure_process, full_memory_named, import_keras
from seq2seq_cli.training.session import CHECKPOINT_SECONDS, train_begun


@dataclass(frozen=True)
class SeedRun:
    """The result of a seed: its run, or the problem that ended its training."""

    seed: int
    path: Path
    stream: TrainingStream  # that it was trained on
    run: Run | None
    problem: str = ""


def train_seeds(
    config: RunConfig,
    n_seeds: int,
    runs_dir: str | Path = "runs",
    run: str | None = None,
    force: bool = False,
    progress: OnEvent | None = None,
    *,
    resume: bool = False,
    callback: str = "",
    write_tensorboard: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> list[SeedRun]:
    """Train a configuration under `n_seeds` seeds, starting at its seed; return all results.

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
    report, cluster = progress or (lambda event: None), read_cluster()
    if cluster.n_workers > 1:
        raise ConfigurationError(
            f"seeds = {n_seeds}: TF_CONFIG names {cluster.n_workers} workers, which train one seed "
            "together: use only one of the two"
        )
    configure_process()
    if callback:
        check_function(CALLBACK, callback)
    find = resumed_batch if resume else new_batch
    batch = find(config, n_seeds, Path(runs_dir), run, force)
    if set(batch.states.values()) == {State.COMPLETE}:
        return [_kept(batch, seed, report) for seed in batch.states]
    check_training(batch.plan.config)
    first = next(seed for seed, state in batch.states.items() if state is not State.COMPLETE)
    with ExitStack() as held:  # before TensorFlow is imported, as `train` does
        begun = held.enter_context(batch.begun(first))
        report(_planned(batch))

        import_keras()
        from seq2seq_cli.training.compiled import SharedLoop
        from seq2seq_cli.training.distribution import find_strategy
        from seq2seq_cli.training.trainer import Options

        loop = SharedLoop(find_strategy(cluster))
        options = Options(
            report, checkpoint_seconds, write_tensorboard=write_tensorboard, callback=callback
        )

        def trained(seed: int) -> SeedRun:
            folder, epochs = batch.folder(seed), batch.plan.config.training.epochs
            report(SeedBegun(1, epochs, seed, folder.name, is_complete=False))
            try:
                with held.pop_all() as stack:
                    begin = begun if seed == first else stack.enter_context(batch.begun(seed))
                    stream = begin.plan.stream
                    train_begun(begin, loop.begun(begin.plan), options, go_on="")
            except LossError as error:
                report(SeedFailed(1, epochs, seed, str(error)))
                return SeedRun(seed, folder, stream, None, str(error))
            return SeedRun(seed, folder, stream, open_run(batch.runs_dir, folder.name))

        try:
            with full_memory_named():
                return [
                    _kept(batch, seed, report) if state is State.COMPLETE else trained(seed)
                    for seed, state in batch.states.items()
                ]
        except (Stopped, KeyboardInterrupt) as error:
            go_on = batch.go_on([CALLBACK, callback] if callback else [])
            parts = [str(error) or "interrupted", *([f"resume with: {go_on}"] if go_on else [])]
            raise type(error)("; ".join(parts)) from None


def _kept(batch: Batch, seed: int, report: OnEvent) -> SeedRun:
    folder, plan = batch.folder(seed), batch.plan.with_seed(seed)
    report(SeedBegun(1, plan.config.training.epochs, seed, folder.name, is_complete=True))
    return SeedRun(seed, folder, plan.stream, open_run(batch.runs_dir, folder.name))


def _planned(batch: Batch) -> Planned:
    config = batch.plan.config
    return Planned(
        epoch=1,
        epochs=config.training.epochs,
        config=config,
        report=batch.plan.report,
        stream=batch.plan.stream,
        resumed="",
        worker=1,
        n_workers=1,
        n_seeds=len(batch.states),
    )
