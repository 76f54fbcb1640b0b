"""`s2s help`: the topics of the reference."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import markdown, table
from seq2seq_cli.errors import ConfigurationError

TOPICS = Path(__file__).parents[2] / "help"


def topics() -> list[str]:
    """Return the names of all topics."""
    return sorted(path.stem for path in TOPICS.glob("*.md"))


def help(  # noqa: A001
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC", help="One of the topics that `s2s help` lists.", autocompletion=topics
        ),
    ] = None,
) -> None:
    """Explain a topic such as data or sweeps.

    Without a topic it lists all of them.

      s2s help data
      s2s help sweeps
    """
    from difflib import get_close_matches

    from seq2seq_cli.storage import read_text

    output.end_with_reader()
    texts = {name: read_text(TOPICS / f"{name}.md") for name in topics()}
    if topic is None:
        rows = [(name, text.splitlines()[0].removeprefix("# ")) for name, text in texts.items()]
        table("Topics, for s2s help TOPIC", ("topic", "what it explains"), rows)
    elif topic in texts:
        markdown(texts[topic])
    else:
        close = get_close_matches(topic, texts, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(texts)}"
        raise ConfigurationError(f"help {topic}: there is no such topic; {meant}")
