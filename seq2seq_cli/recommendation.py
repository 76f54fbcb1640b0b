"""Settings with which a task was learned, where those given are known to fail.

What is known are the maps in the README: rows of integers that are to be copied, in their order or
from their end, and the shipped configurations with which long ones were learned.
"""

from dataclasses import dataclass

from seq2seq_cli.config import ModelConfig, RunConfig, TrainingConfig
from seq2seq_cli.data.tasks import is_custom
from seq2seq_cli.settings import laid_over, parse_config
from seq2seq_cli.shipped import shipped_file
from seq2seq_cli.storage import read_text

COPYING = ("reverse-prefix", "reverse", "copy")
"""The tasks that the maps are of."""

PLAIN_REACH = 12
"""The longest source that a model without attention has learned to 99 % with the defaults."""

CONTENT_REACH = 25
"""The longest source that attention by content alone has learned to 99 %."""

CONFIGURED = (
    (50, "attention"),
    (400, "long"),
    (1000, "thousand"),
    (2000, "two-thousand"),
    (10_000, "ten-thousand"),
)
"""The longest source of shipped configurations, and their names."""

VARYING = "varying"
"""The configuration for sources of several lengths."""


@dataclass(frozen=True)
class Recommendation:
    """A shipped configuration's settings, for the lengths that are asked for, and the reason."""

    name: str
    model: ModelConfig
    training: TrainingConfig
    reason: str

    def under(self, given: RunConfig) -> RunConfig:
        """Return the settings that `given` gives, and the recommended ones where it gives none."""
        recommended = RunConfig(task=given.task, model=self.model, training=self.training)
        return laid_over(recommended, given)


def recommend(config: RunConfig) -> Recommendation | None:
    """Return what is recommended in the place of a configuration; None where it may well do."""
    task, model = config.task, config.model
    if is_custom(task) or task.name not in COPYING:
        return None
    longest = task.lengths.longest
    has_attention = model.attention != "none"
    reach = CONTENT_REACH if has_attention else PLAIN_REACH
    if longest <= reach or (has_attention and model.attention_radius):
        return None
    name = VARYING if task.lengths.vary else _nearest(longest)
    shipped = parse_config(read_text(shipped_file(name)), name)
    kind = "with attention by content alone" if has_attention else "without attention"
    return Recommendation(
        name,
        shipped.model,
        shipped.training,
        f"a model {kind} has learned sources of up to {reach} integers to 99 %, and these have "
        f"{longest}",
    )


def _nearest(longest: int) -> str:
    """Return the configuration for the least length that is as long, or the longest one."""
    return next((name for most, name in CONFIGURED if longest <= most), CONFIGURED[-1][1])
