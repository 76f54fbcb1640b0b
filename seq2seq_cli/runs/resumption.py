"""Which settings may change when a training is resumed."""

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError

CHANGEABLE = (
    "training.epochs",
    "training.stop_at",
    "training.patience",
    "training.validate_every",
)
"""Settings that may differ when a training is resumed: no step depends on them."""

FILES = ("task.data", "task.validation_data")
"""Files that may be elsewhere when a training is resumed; their hashes are settings beside them."""

FILLED_IN = (
    "task.data_sha256",
    "task.validation_data_sha256",
    "model.pretrained_embedding_sha256",
)
"""Settings that follow from others and are no user's."""


def check_resumable(saved: RunConfig, wanted: RunConfig) -> None:
    """Raise ConfigurationError, with a line for each, for settings that may not change.

    A file may be elsewhere if its content is the same by the hashes that both configurations have.
    """
    before, problems = saved.model_dump(), []
    for section, settings in wanted.model_dump().items():
        for key, value in settings.items():
            name, was = f"{section}.{key}", before[section][key]
            if name in CHANGEABLE or name in FILLED_IN:
                continue
            hashes = {before[section].get(f"{key}_sha256"), settings.get(f"{key}_sha256")}
            if name in FILES and "" not in hashes:
                if len(hashes) > 1:
                    problems.append(
                        f"{name} = {value!r}: the file is not the one that the run was begun with, "
                        f"which was {was!r} with SHA-256 {before[section][f'{key}_sha256'][:12]}..."
                    )
            elif value != was:
                problems.append(
                    f"{name} = {value!r}: the run was begun with {was!r}; only "
                    f"{', '.join(CHANGEABLE)} may change"
                )
    if problems:
        raise ConfigurationError("\n".join(problems))
