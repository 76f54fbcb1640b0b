"""Draws charts as pictures without a browser, in light and dark colours and several formats."""

import csv
import html
import io
import json
import re
from pathlib import Path
from textwrap import wrap

from seq2seq_cli.data.tasks import Task
from seq2seq_cli.errors import ConfigurationError, PackageError
from seq2seq_cli.inference.loading import AnyRun, as_loaded
from seq2seq_cli.machine import address_limit
from seq2seq_cli.prediction import Sequences
from seq2seq_cli.reports.charts import WIDTH, Spec, specification
from seq2seq_cli.reports.data import Chart
from seq2seq_cli.reports.run import RunCharts
from seq2seq_cli.reports.style import LABEL, POINT, Style
from seq2seq_cli.storage import atomic_path, check_replaceable

VEGA_LITE = "5.20"
FORMATS = ("svg", "png", "pdf", "csv", "json")

ADDRESSES = 80 * 10**9
"""Bytes of addresses that the drawing engine reserves, with a margin."""

MOST_HOVERED = 500
"""Maximum rows of a curve whose lines have points to hover over."""

DESCRIBED = re.compile(
    r'<(path|line) aria-label="([^"]*)" role="[^"]*" aria-roledescription="(?!line)[^"]*"([^>]*)/>'
)
"""A described mark of a drawing, other than a line through several rows."""

INK = "#1f2328"
MUTED = "#57606a"
GRID = "#d8dde3"
SERIES = (
    "#2563a8", "#b8480c", "#1d7f5f", "#9334a3", "#7d6300", "#b3255a", "#47586a", "#007687",
)  # fmt: skip
"""A colour for each series; a chart with more series reuses them."""

DARK_SERIES = (
    "#79b0f0", "#f2975c", "#5cc9a2", "#d898e6", "#d8bd48", "#f48aad", "#b4c0cc", "#55cadb",
)  # fmt: skip

IN_DARK = {
    INK: "#e6e8eb",
    MUTED: "#a3acb8",
    GRID: "#3a414b",
    **dict(zip(SERIES, DARK_SERIES, strict=True)),
}
"""What replaces each colour on a dark background."""

HUES = ("#2f7fd0", "#7a6bd6", "#c254a0", "#d9603b", "#a3861a", "#3f9a5a")
"""Colours from the lowest value to the highest, on either background."""

TEXT = {"titleColor": INK, "titleFontWeight": "normal", "labelFontSize": LABEL, "titleFontSize": 12}

CONFIG = {
    "aria": False,  # the drawing's root has a name, and a table has its numbers
    "background": None,
    "font": "sans-serif",
    "title": {"color": INK, "fontSize": 13},
    "view": {"stroke": None},
    "axis": TEXT
    | {"labelColor": MUTED, "gridColor": GRID, "domainColor": MUTED, "tickColor": MUTED},
    "legend": {
        **TEXT,
        "labelColor": INK,
        "labelLimit": 300,
        "columnPadding": 16,
        "symbolBaseFillColor": SERIES[0],
        "symbolOpacity": 1,
        "symbolStrokeWidth": 0,
    },
    "range": {"category": SERIES, "ramp": HUES},
    "mark": {"color": SERIES[0]},
    "rule": {"color": SERIES[0]},
    "bar": {"color": SERIES[1]},
    "text": {"color": INK, "fontSize": 11},
    "style": {"limit": {"color": INK, "strokeDash": [4, 3]}},
}
"""Vega-Lite's configuration of all charts."""


def variable(colour: str) -> str:
    """Return the name of a colour in a page's style sheet."""
    return f"--chart-{colour.removeprefix('#')}"


def plot(
    run: AnyRun,
    what: str,
    file: str | Path,
    task: Task | None = None,
    force: bool = False,
    width: str | float = Style.width,
    font_size: float = Style.font_size,
    dpi: float = Style.dpi,
    title: str | None = None,
    sequence: Sequences | None = None,
) -> None:
    """Draw a chart of a run to an .svg, .png, .pdf, .csv or .vl.json file, as `s2s plot` does.

    `what` is one of "loss", "exact-match", "learning-rate", "positions", "lengths",
    "generalization", "confusions", "results", "attention", "decoder-states" and "encoder-states";
    `task` is the run's task if it is a custom one. The `width` is "column" (85 mm), "text" (178 mm)
    or in millimetres, `font_size` that of labels in points, `dpi` of a PNG. The `sequence`, a text
    or a list, is the one whose attention or decoder states are drawn. Raises ConfigurationError if
    the run has no such chart, for another suffix and without the extra "report", ExistsError if
    the file exists, unless `force` is set, and StorageError if writing fails.
    """
    loaded, style = as_loaded(run), Style(width, font_size, dpi, title)
    check_picture(Path(file), force)
    charts = RunCharts(loaded, task=task, sequence=sequence).charts(what)
    write_picture(charts[0], Path(file), style)


def check_picture(file: Path, force: bool) -> None:
    """Raise an error unless a picture can be drawn and written here."""
    suffix = file.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise ConfigurationError(f"{file}: the name should end in .svg, .png, .pdf, .csv, .vl.json")
    check_replaceable(file, force)
    if suffix not in ("csv", "json"):
        need_libraries()


def write_picture(chart: Chart, file: Path, style: Style) -> None:
    """Write a chart in the format of the file's suffix."""
    picture = draw(chart, file.suffix.lower().removeprefix("."), style)
    with atomic_path(file) as temporary:
        temporary.write_bytes(picture)


def draw(chart: Chart, suffix: str, style: Style) -> bytes:
    """Return a chart as a file of one of FORMATS, in light colours on white.

    A CSV file has the chart's rows, a .vl.json file the Vega-Lite specification with the data.
    """
    if suffix == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([chart.columns, *chart.rows])
        return text.getvalue().encode()
    spec = _with_config(chart, style.units, background="white")
    if style.title:
        spec["title"] = wrap(style.title, style.units // 8)
    if suffix == "json":
        return json.dumps(spec, indent=1).encode()
    import vl_convert as convert

    svg = _named(convert.vegalite_to_svg(spec, vl_version=VEGA_LITE), chart)
    if suffix == "svg":
        return _resized(svg, style.mm, "mm").encode()
    svg = _resized(svg, style.mm / POINT)
    return convert.svg_to_png(svg, ppi=style.dpi) if suffix == "png" else convert.svg_to_pdf(svg)


def _resized(svg: str, width: float, unit: str = "") -> str:
    """Return a drawing of another width, in points if there is no unit."""
    before, height = re.findall(r' (?:width|height)="([\d.]+)"', svg)[:2]  # of the root
    resized = (
        f'width="{width:.6g}{unit}" height="{width * float(height) / float(before):.6g}{unit}"'
    )
    return svg.replace(f'width="{before}" height="{height}"', resized, 1)


def draw_for_page(chart: Chart, name: str) -> str:
    """Return a chart as an SVG element in the page's colours, whose ids begin with `name`.

    Its marks have their values as titles, which browsers show on hovering. A line has invisible
    points for them, unless they are many.
    """
    import vl_convert

    spec = _with_config(chart, aria=True)
    for layer in spec.get("layer", ()):
        if layer["mark"] == {"type": "line"} and len(chart.data) <= MOST_HOVERED:
            layer["mark"] = {"type": "line", "point": {"opacity": 0, "size": 60}}
    text = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    text = DESCRIBED.sub(r"<\1\3><title>\2</title></\1>", text)
    text = re.sub(r'(id="|url\(#)(clip|gradient)', rf"\g<1>{name}-\g<2>", text)
    for colour in IN_DARK:
        text = text.replace(f'"{colour}"', f'"var({variable(colour)})"')
    return _named(text, chart)


def need_libraries() -> None:
    """Raise ConfigurationError if the libraries are not installed, or could not run.

    The drawing engine reserves far more addresses than it uses memory, and kills the process if it
    cannot have them.
    """
    limit = address_limit()
    if limit is not None and limit < ADDRESSES:
        raise ConfigurationError(
            f"charts need {ADDRESSES // 10**9} GB of addresses, though little memory, and the "
            f"process may have {limit / 1e9:.1f}: lift the limit with `ulimit -v unlimited`"
        )
    try:
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise PackageError(f"charts need {error.name}", "report") from None


def _with_config(chart: Chart, width: int = WIDTH, **config: object) -> Spec:
    return {**specification(chart, width), "config": {**CONFIG, **config}}


def _named(svg: str, chart: Chart) -> str:
    """Return a drawing with a name for screen readers on its root and none on its parts."""
    name = html.escape(f"{chart.title}. {chart.text} {chart.marks}".rstrip(), quote=True)
    parts = re.sub(r' (role|aria-[a-z]+)="[^"]*"', "", svg)
    return re.sub(r"^<svg ", f'<svg role="img" aria-label="{name}" ', parts, count=1)
