"""Reports: from results to the data of charts, charts, pictures and a page."""

SECTIONS = {
    "Accuracy": ("lengths", "positions", "generalization", "confusions"),
    "How it learned": ("loss", "exact-match", "learning-rate"),
    "Inside the model": ("attention", "decoder-states", "encoder-states"),
}
"""The names of the charts on a run's page, by section."""

FOLDED = ("learning-rate", "decoder-states", "encoder-states")
"""The charts that a page shows only to readers who ask for them."""

TRAINING_CHARTS = SECTIONS["How it learned"]
COMPARISON_CHARTS = (*TRAINING_CHARTS, "results")
"""The charts that several runs share."""
RUN_CHARTS = (*(name for names in SECTIONS.values() for name in names), "results")
SWEEP_CHARTS = ("grid", "lines")
