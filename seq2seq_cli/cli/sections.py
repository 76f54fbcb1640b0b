"""The help of a command, its options in sections."""

from typing import Any

from typer.core import TyperCommand

TASK, MODEL, TRAINING, RUN = "Task", "Model", "Training", "Run"
SEQUENCES, SETTINGS = "Sequences", "Configuration"
OTHERS = "Options"
"""The section of options that name none."""


class SectionedCommand(TyperCommand):
    """A command whose help has a section for each `rich_help_panel`, in plain text.

    Typer itself would draw them with rich, which takes longer to import than the help may take.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by section; those of no section are the last."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        others = []
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            if parameter.param_type_name == "argument":
                # Without the program's type of it, which says nothing that its name does not.
                sections["Arguments"].append((record[0].partition(" <")[0], record[1]))
            elif panel := getattr(parameter, "rich_help_panel", None):
                sections.setdefault(panel, []).append(record)
            else:
                others.append(record)
        for name, records in (*sections.items(), (OTHERS, others)):
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
