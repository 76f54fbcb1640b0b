"""In which settings runs are not alike."""

from collections.abc import Sequence

from seq2seq_cli.config import RunConfig


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, tuple[str, ...]]:
    """Return the settings, `section.key`, that are not the same in all, with each one's value."""
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
