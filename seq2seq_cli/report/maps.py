"""What a model does inside -> the charts of its attention and its states."""

from collections.abc import Sequence

from seq2seq_cli.report.chart import BELOW, Chart, Row, make_chart
from seq2seq_cli.report.states import Components, Map
from seq2seq_cli.report.theme import HUES, SERIES


def attention_chart(found: Map) -> Chart:
    """Return the map of attention: a darker cell is a larger weight."""
    state = "right" if found.example.target == found.example.predicted else "wrong"
    text = "How much each predicted token, a row, looks at each of the source, a column"
    if found.size != (1, 1):
        text += "; {} by {} stand together, with the largest weight among them".format(*found.size)
    title = f"Attention, a {state} prediction"
    return _map(found, title, f"{text}.", "predicted", "source")


def decoder_chart(found: Map) -> Chart:
    """Return the map of a decoder's states: blue above zero, orange below."""
    state = "right" if found.example.target == found.example.predicted else "wrong"
    text = (
        f"The {len(found.rows)} units of the decoder's hidden state that change most, step by step "
        "to each predicted token: blue above zero, orange below"
    )
    return _map(found, f"Decoder's states, a {state} prediction", f"{text}.", "unit", "step")


def _map(found: Map, title: str, text: str, row_title: str, column_title: str) -> Chart:
    rows, columns = range(len(found.rows)), range(len(found.columns))
    values = [
        {"row": row, "column": column, "size": round(abs(value), 3), "sign": value < 0}
        for row, line in enumerate(found.values)
        for column, value in enumerate(line)
        if abs(value) >= 0.005
    ]
    x = _band("column", columns, found.columns, column_title, 16)
    y = _band("row", rows, found.rows, row_title, 24)
    scale = {"domain": [False, True], "range": list(SERIES[:2])}
    encoding = {
        "x": x,
        "y": y,
        "opacity": {"field": "size", "type": "quantitative", "legend": None,
                    "scale": {"domain": [0, 1], "range": [0, 1]}},
        "color": {"field": "sign", "type": "nominal", "scale": scale, "legend": None},
    }  # fmt: skip
    spec = {"data": {"values": values}, "mark": {"type": "rect"}, "encoding": encoding}
    numbers = tuple(
        (label, *(round(value, 4) for value in line))
        for label, line in zip(found.rows, found.values, strict=True)
    )
    height = min(420, max(130, 70 + 14 * len(rows)))
    return make_chart("map", title, text, spec, (row_title, *found.columns), numbers, height)


def _band(field: str, numbers: range, labels: Sequence[str], title: str, most: int) -> Row:
    """Return a map's axis: a cell for each number, of many only some with a label."""
    step = max(1, -(-len(numbers) // most))
    shown = [number for number in numbers if number % step == 0]
    names = [labels[number].replace(": ", ":") for number in numbers]
    expression = f"{names!r}[datum.value]"
    axis = {"values": shown, "labelExpr": expression, "labelAngle": 0 if field == "row" else -60}
    axis |= {"ticks": False, "domain": False, "labelOverlap": False}
    scale = {"domain": list(numbers)}
    return {"field": field, "type": "ordinal", "title": title, "axis": axis, "scale": scale}


def components_chart(found: Components) -> Chart:
    """Return the encoder's states in two principal components, coloured by the first token."""
    values = [
        {"x": round(x, 4), "y": round(y, 4), "first": first}
        for x, y, first in zip(found.x, found.y, found.first, strict=True)
    ]
    titles = [
        f"component {number} ({share:.0%} of the variance)"
        for number, share in enumerate(found.explained, 1)
    ]
    colour = {"field": "first", "type": "quantitative", "title": "first token",
              "scale": {"range": list(HUES), "type": "linear"},
              "legend": {"direction": "horizontal", "format": "d", **BELOW}}  # fmt: skip
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": titles[0]},
        "y": {"field": "y", "type": "quantitative", "title": titles[1]},
        "color": colour,
    }
    mark = {"type": "circle", "size": 28, "opacity": 0.85}
    text = (
        f"The encoder's last hidden state after {len(values)} held-out sources, in its first two "
        "principal components, coloured by the source's first token"
    )
    spec = {"data": {"values": values}, "mark": mark, "encoding": encoding}
    rows = tuple((value["first"], value["x"], value["y"]) for value in values)
    columns = ("first token", "component 1", "component 2")
    return make_chart("points", "Encoder's states", f"{text}.", spec, columns, rows, 300)
