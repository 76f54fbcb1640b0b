"""The starts of trainings: a plan, the folder that is held, and what is resumed."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.files import read_embedding
from seq2seq_cli.data.plan import Plan, prepare
from seq2seq_cli.errors import ConfigurationError, ExistsError
from seq2seq_cli.resources import check_training
from seq2seq_cli.runs.advice import resume_command
from seq2seq_cli.runs.checkpoint import Checkpoint, is_stopped, load_checkpoint, newest_description
from seq2seq_cli.runs.claim import check_free, create_folder, free_name, reopen_folder
from seq2seq_cli.runs.folder import RunFolder
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.lock import is_locked
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import seed_run, training_path
from seq2seq_cli.runs.progress import is_finished
from seq2seq_cli.runs.resumption import (
    State,
    check_resumable,
    find_resumable,
    find_seeds,
    resumed_checkpoint,
    resumed_config,
)
from seq2seq_cli.storage import sha256_of
from seq2seq_cli.training.cluster import Cluster
from seq2seq_cli.training.events import OnEvent

if TYPE_CHECKING:
    import keras

SEEDS = 2**63
"""The number of possible seeds."""


@dataclass(frozen=True)
class Start:
    """What a training starts from."""

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


@dataclass(frozen=True)
class Options:
    """The options of a training that are not in its plan."""

    report: OnEvent
    checkpoint_seconds: float
    callbacks: Sequence["keras.callbacks.Callback"] = ()
    write_tensorboard: bool = False
    callback: str = ""  # a user's function that returns more callbacks


@contextmanager
def hold_start(
    config: RunConfig, runs_dir: Path, run: str | None, force: bool, resume: bool, cluster: Cluster
) -> Iterator[Start]:
    """Hold the folder of a training, which only the chief has; yield its start."""
    with ExitStack() as held:
        if not resume:
            plan, folder = prepare(config), None
            check_training(plan.config, cluster.n_workers)
            if cluster.is_chief:
                folder = held.enter_context(create_folder(runs_dir, run, plan.config.task, force))
            yield Start(plan, folder)
            return
        if force:
            raise ConfigurationError("resume and force: use only one of the two")
        folder = held.enter_context(reopen_folder(runs_dir, run)) if cluster.is_chief else None
        path = folder.run if folder else find_resumable(runs_dir, run)
        checkpoint, notes = load_checkpoint(path)
        plan = prepare(resumed_config(checkpoint.config, config), resumed=True)
        check_training(plan.config, cluster.n_workers)
        checkpoint = resumed_checkpoint(checkpoint, plan.config, path)
        yield Start(plan, folder, checkpoint, tuple(notes))


@dataclass(frozen=True)
class Seeds:
    """Seeds to train in the folders NAME-seed-0 and so on; `plan` is that of the first one."""

    plan: Plan
    runs_dir: Path
    name: str
    states: dict[int, State]
    force: bool

    def folder(self, seed: int) -> Path:
        """Return the folder of a seed's run."""
        return self.runs_dir / seed_run(self.name, seed)

    @contextmanager
    def hold_start(self, seed: int) -> Iterator[Start]:
        """Hold the folder of an incomplete seed; yield the start of its training."""
        plan, name = self.plan.with_seed(seed), seed_run(self.name, seed)
        if self.states[seed] is State.NEW:
            with create_folder(self.runs_dir, name, plan.config.task, self.force) as folder:
                yield Start(plan, folder)
        else:
            with reopen_folder(self.runs_dir, name) as folder:
                checkpoint, notes = load_checkpoint(folder.run)
                checkpoint = resumed_checkpoint(checkpoint, plan.config, folder.run)
                yield Start(plan, folder, checkpoint, tuple(notes))

    def resume_command(self, more: Sequence[str] = ()) -> str:
        """Return the command, with `more` options, that resumes the stopped seeds.

        It is empty if nothing has begun.
        """
        first = min(self.states)
        if set(self.states.values()) == {State.NEW}:
            newest = newest_description(self.folder(first))  # may be that of an earlier training
            if newest is None or newest.config.model_dump() != self.plan.config.model_dump():
                return ""
        options = [*more, "--seeds", str(len(self.states))]
        options += ["--seed", str(first)] if first else []
        options += ["--force"] if self.force else []
        return resume_command(self.runs_dir / self.name, self.plan.config.task, options)


def new_seeds(
    config: RunConfig, n_seeds: int, runs_dir: Path, run: str | None, force: bool
) -> Seeds:
    """Return the seeds, of which the first is the configuration's.

    Raises ExistsError if a run of any of the seeds exists or is in use.
    """
    plan = prepare(config)
    seeds = _seeds(config.training.seed, n_seeds)
    name = free_name(runs_dir, run, plan.config.task, seeds, force)
    return Seeds(plan, runs_dir, name, dict.fromkeys(seeds, State.NEW), force)


def resumed_seeds(
    config: RunConfig, n_seeds: int, runs_dir: Path, run: str | None, force: bool
) -> Seeds:
    """Return the seeds of the runs that exist, with the saved settings of the first one.

    Settings in `config` must be the same, except those that may change; with `force` runs that were
    trained with other settings start again.
    """
    name, saved_seeds = find_seeds(runs_dir, run)
    is_set = "seed" in config.training.model_fields_set
    seeds = _seeds(config.training.seed if is_set else saved_seeds[0], n_seeds)
    known = [seed for seed in saved_seeds if seed in seeds]
    if not known:
        raise ConfigurationError(
            f"training.seed = {seeds[0]}: of {runs_dir / name}-seed-... there are only "
            f"{', '.join(map(str, saved_seeds))}: remove it, or remove --resume"
        )
    saved = _saved_config(runs_dir / seed_run(name, known[0]))
    training = saved.training.model_copy(update={"seed": seeds[0]})
    saved = saved.model_copy(update={"training": training})
    plan = prepare(resumed_config(saved, config, force), resumed=True)
    states = {
        seed: _state(runs_dir / seed_run(name, seed), plan.with_seed(seed).config, force)
        for seed in seeds
    }
    if plan.config.model.pretrained_embedding and State.NEW in states.values():
        plan = replace(plan, embedding=read_embedding(plan.config)[0])
    return Seeds(plan, runs_dir, name, states, force)


def _seeds(first: int, n_seeds: int) -> range:
    if n_seeds < 1:
        raise ConfigurationError(f"seeds = {n_seeds}: should be at least 1")
    if first + n_seeds > SEEDS:
        raise ConfigurationError(f"training.seed = {first}: should be at most {SEEDS - n_seeds}")
    return range(first, first + n_seeds)


def _saved_config(folder: Path) -> RunConfig:
    """Return the settings of a run's newest checkpoint, or of the complete run."""
    newest = newest_description(folder)
    return newest.config if newest else open_run(folder.parent, folder.name).config


def _state(folder: Path, config: RunConfig, force: bool) -> State:
    """Return what exists of a run with these settings; raises if it has other settings."""
    newest, is_complete = newest_description(folder), (folder / MANIFEST).is_file()
    if is_locked(training_path(folder)):
        raise ExistsError(f"{folder} is in use: another process trains this run")
    if newest is None and not is_complete:
        check_free(folder, force)
        return State.NEW
    try:
        check_resumable(_saved_config(folder), config, folder.name)
    except ConfigurationError:
        if force:
            return State.NEW
        raise
    finished = newest is None or is_finished(newest.status, config.training)
    return State.COMPLETE if is_complete and finished and not is_stopped(folder) else State.STOPPED
