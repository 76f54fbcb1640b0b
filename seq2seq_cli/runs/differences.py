"""The settings in which runs differ."""

from collections.abc import Sequence

from seq2seq_cli.config import RunConfig


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, tuple[str, ...]]:
    """Return the settings, `section.key`, that differ, with the value in each configuration."""
    flat = [
        {
            f"{section}.{key}": str(value)
            for section, values in config.model_dump().items()
            for key, value in values.items()
        }
        for config in configs
    ]
    rows = {key: tuple(settings[key] for settings in flat) for key in flat[0]}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}
