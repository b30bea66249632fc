"""Lists for a person: on a terminal as a table that fits it, in a pipe a line each.

Purpose: columns that line up whatever the names are, and no address that is cut. Whoever pipes the
output gets plain lines of the same words, and a program asks for --json.
Invariants: words of others are shown, never obeyed: neither markup nor an escape of a terminal.
Colour only where there is a terminal that has it, and nobody set NO_COLOR.
"""

import sys
from collections.abc import Callable, Iterable, Sequence

import click

Row = Sequence[str]


def show(columns: Sequence[str], rows: Iterable[Row], line: Callable[[Row], str]) -> None:
    """`line`: how a row reads where there is no terminal."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo(line(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False).print(table)


def printable(text: str) -> str:
    """Without what a terminal could obey."""
    return "".join(one if one.isprintable() else " " for one in text)
