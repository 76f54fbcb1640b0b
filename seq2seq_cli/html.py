"""Results as notebooks show them: plain HTML tables, with all that is a user's escaped."""

from collections.abc import Iterable, Sequence
from html import escape


def table(title: str, rows: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """Return a table with a title; the first cell of a row is its heading."""
    lines = [f"<table><caption>{escape(title)}</caption>"]
    for heading, *cells in rows:
        shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{escape(heading)}</th>{shown}</tr>')
    lines.append("</table>")
    lines += [f"<p>note: {escape(note)}</p>" for note in notes]
    return "\n".join(lines)


def bar(label: str, done: int, total: int, note: str) -> str:
    """Return a bar of progress with what is said beside it."""
    return (
        f'<label>{escape(label)} <progress value="{done}" max="{total}"></progress> '
        f"{done:,}/{total:,} {escape(note)}</label>"
    )
