"""The seeds that one configuration is trained under, and what exists of each.

Every problem that can be known in advance is found before the first seed begins.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.files import read_embedding
from seq2seq_cli.data.plan import Plan, prepare
from seq2seq_cli.errors import ConfigurationError, ExistsError
from seq2seq_cli.runs.advice import resume_command
from seq2seq_cli.runs.checkpoint import is_stopped, load_checkpoint, newest_description
from seq2seq_cli.runs.claim import check_free, create_folder, free_name, reopen_folder
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.lock import is_locked
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import seed_run, training_path
from seq2seq_cli.runs.resumption import State, check_resumable, find_seeds, resumed_config
from seq2seq_cli.training.session import Begin
from seq2seq_cli.training.stopping import has_enough, to_go_on_from

SEEDS = 2**63
"""The number of possible seeds."""


@dataclass(frozen=True)
class Batch:
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
    def begun(self, seed: int) -> Iterator[Begin]:
        """Hold the folder of an incomplete seed; yield what its training begins from."""
        plan, folder = self.plan.with_seed(seed), self.folder(seed)
        if self.states[seed] is State.NEW:
            task = plan.config.task
            with create_folder(self.runs_dir, folder.name, task, self.force) as created:
                yield Begin(plan, created)
        else:
            with reopen_folder(self.runs_dir, folder.name) as reopened:
                checkpoint, notes = load_checkpoint(folder)
                checkpoint = to_go_on_from(checkpoint, plan.config, folder)
                yield Begin(plan, reopened, checkpoint, tuple(notes))

    def go_on(self, more: Sequence[str] = ()) -> str:
        """Return the command, with `more` options, that resumes a stopped batch.

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


def new_batch(
    config: RunConfig, n_seeds: int, runs_dir: Path, run: str | None, force: bool
) -> Batch:
    """Return the batch whose first seed is the configuration's.

    Raises ExistsError if a run of any of the seeds exists or is in use.
    """
    plan = prepare(config)
    seeds = _seeds(config.training.seed, n_seeds)
    name = free_name(runs_dir, run, plan.config.task, seeds, force)
    return Batch(plan, runs_dir, name, dict.fromkeys(seeds, State.NEW), force)


def resumed_batch(
    config: RunConfig, n_seeds: int, runs_dir: Path, run: str | None, force: bool
) -> Batch:
    """Return the batch of the runs that exist, with the saved settings of the first one.

    Settings in `config` must be the same, except those that may change; with `force` runs that were
    trained with other settings start again.
    """
    name, saved_seeds = find_seeds(runs_dir, run)
    is_given = "seed" in config.training.model_fields_set
    seeds = _seeds(config.training.seed if is_given else saved_seeds[0], n_seeds)
    known = [seed for seed in saved_seeds if seed in seeds]
    if not known:
        raise ConfigurationError(
            f"training.seed = {seeds[0]}: of {runs_dir / name}-seed-... there are only "
            f"{', '.join(map(str, saved_seeds))}: remove it, or remove --resume"
        )
    merged = resumed_config(_saved_config(runs_dir / seed_run(name, known[0])), config)
    plan = prepare(merged, resumed=True).with_seed(seeds[0])
    batch = Batch(plan, runs_dir, name, {}, force)
    states = {
        seed: _state(batch.folder(seed), plan.with_seed(seed).config, force) for seed in seeds
    }
    if plan.config.model.pretrained_embedding and State.NEW in states.values():
        plan = replace(plan, embedding=read_embedding(plan.config)[0])
    return replace(batch, plan=plan, states=states)


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


def _state(folder: Path, wanted: RunConfig, force: bool) -> State:
    """Return what exists of a run with these settings; raises if it has other settings."""
    newest, is_complete = newest_description(folder), (folder / MANIFEST).is_file()
    if is_locked(training_path(folder)):
        raise ExistsError(f"{folder} is in use: another process trains this run")
    if newest is None and not is_complete:
        check_free(folder, force)
        return State.NEW
    try:
        check_resumable(_saved_config(folder), wanted, folder.name)
    except ConfigurationError:
        if force:
            return State.NEW
        raise
    is_enough = newest is None or has_enough(newest.status, wanted.training)
    if is_complete and is_enough and not is_stopped(folder):
        return State.COMPLETE
    return State.STOPPED
