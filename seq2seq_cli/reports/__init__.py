"""Reports: from results to the data of charts, charts, pictures and a page."""

SECTIONS = {
    "Accuracy": ("lengths", "positions", "generalization", "confusions"),
    "How it learned": ("loss", "exact-match", "learning-rate"),
    "Inside the model": ("attention", "decoder-states", "encoder-states"),
}
"""The names of a run's charts, by the sections of its page."""

TRAINING_CHARTS = SECTIONS["How it learned"]
RUN_CHARTS = tuple(name for names in SECTIONS.values() for name in names)
SWEEP_CHARTS = ("grid", "lines")
