"""The colours of charts, light; and what each is in the dark."""

INK = "#1f2328"
MUTED = "#57606a"
GRID = "#d8dde3"
SERIES = (
    "#2563a8", "#b8480c", "#1d7f5f", "#9334a3", "#7d6300", "#b3255a", "#47586a", "#007687",
)  # fmt: skip
"""One for each run or kind of points; charts of more begin anew."""

HUES = ("#2f7fd0", "#7a6bd6", "#c254a0", "#d9603b", "#a3861a", "#3f9a5a")
"""From the first token to the last, on either ground."""

IN_DARK = {
    INK: "#e6e8eb",
    MUTED: "#a3acb8",
    GRID: "#3a414b",
    **dict(
        zip(
            SERIES,
            ("#79b0f0", "#f2975c", "#5cc9a2", "#d898e6", "#d8bd48", "#f48aad", "#b4c0cc",
             "#55cadb"),
            strict=True,
        )
    ),
}  # fmt: skip
"""What takes each colour's place on a dark ground."""

FONT = "sans-serif"

CONFIG = {
    "aria": False,  # the drawing's root has a name, and a table has its numbers
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "gridColor": GRID,
        "domainColor": MUTED,
        "tickColor": MUTED,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "labelLimit": 300,
    },
    "line": {"strokeWidth": 1.8},
}
"""Vega-Lite's configuration of all charts."""


def variable(colour: str) -> str:
    """Return the name of a colour in a page's style sheet."""
    return f"--chart-{colour.removeprefix('#')}"
