"""Vega-Lite specifications -> pictures, without a browser."""

import html
import re
from types import ModuleType

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.machine import address_limit
from seq2seq_cli.report.chart import Chart, Spec
from seq2seq_cli.report.theme import IN_DARK, variable

VEGA_LITE = "5.20"
FORMATS = ("svg", "png", "pdf")

ADDRESSES = 80 * 10**9
"""Bytes of addresses that the engine which draws reserves, and some more."""


def draw(chart: Chart, suffix: str) -> bytes:
    """Return a chart as a file of one of FORMATS, light, on a white ground.

    Raises ConfigurationError where what draws is not installed.
    """
    convert, spec = _convert(), _on_white(chart)
    if suffix == "svg":
        text: str = convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
        return _named(text, chart).encode()
    if suffix == "png":
        return bytes(convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=2))
    return bytes(convert.vegalite_to_pdf(spec, vl_version=VEGA_LITE))


def draw_for_page(chart: Chart, name: str) -> str:
    """Return a chart as an SVG element; its colours are the page's, its ids begin with `name`."""
    text: str = _convert().vegalite_to_svg(chart.spec, vl_version=VEGA_LITE)
    text = re.sub(r'(id="|url\(#)(clip|gradient)', rf"\g<1>{name}-\g<2>", text)
    for colour in IN_DARK:
        text = text.replace(f'"{colour}"', f'"var({variable(colour)})"')
    return _named(text, chart)


def need_libraries() -> None:
    """Raise ConfigurationError where what draws charts is not installed, or could not be run.

    What draws reserves far more addresses than it uses memory, and ends the process where it may
    not have them.
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
        raise ConfigurationError(
            f"charts need {error.name}: pip install 'seq2seq-cli[report]'"
        ) from None


def _convert() -> ModuleType:
    import vl_convert

    return vl_convert


def _on_white(chart: Chart) -> Spec:
    return {**chart.spec, "config": {**chart.spec["config"], "background": "white"}}


def _named(svg: str, chart: Chart) -> str:
    """Return a drawing whose root has a name for those who hear it."""
    name = html.escape(f"{chart.title}. {chart.text}", quote=True)
    parts = re.sub(r' (role|aria-roledescription|aria-label)="graphics-[^"]*"', "", svg)
    return re.sub(r"^<svg ", f'<svg role="img" aria-label="{name}" ', parts, count=1)
