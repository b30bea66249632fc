"""The view of `postroad watch` on a terminal; drawn by rich, which only this needs here.

Words of others are shown and never obeyed: neither markup nor an escape of a terminal.
"""

import signal
from types import TracebackType
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from postroad.app import news, tables
from postroad.app.marks import mark
from postroad.app.telling import moment, number_of
from postroad.app.telling_network import holding
from postroad.app.telling_queue import how_much

STYLES = {"ok": "bold green", "attention": "bold yellow", "broken": "bold red"}
PROBLEM_STYLES = {"info": "", "attention": "yellow", "broken": "bold red"}
LETTERS_SHOWN = 20


class Screen:
    """The whole terminal while within; afterwards it is as it was."""

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(
            console=console or Console(highlight=False), screen=True, auto_refresh=False
        )

    def __enter__(self) -> "Screen":
        self._live.__enter__()
        signal.signal(signal.SIGWINCH, lambda *_: self._live.refresh())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        self._live.__exit__(kind, error, trace)

    def show(self, scene: news.Scene) -> None:
        self._live.update(picture(scene), refresh=True)


def picture(scene: news.Scene) -> RenderableType:
    parts: list[RenderableType] = [Text(scene["sentence"], STYLES.get(scene["health"], "bold red"))]
    counts = [
        number_of(scene["contact_count"], "contact"),
        f"{number_of(scene['holders'], 'holder')} of yours",
        f"{number_of(scene['letters_under_way'], 'letter')} on the way",
    ]
    parts.append(Text(", ".join(counts).capitalize() + "."))
    for one in scene["problems"]:
        style = PROBLEM_STYLES.get(one["severity"], "bold red")
        summary = tables.printable(one["summary"])
        parts.append(Text(f"\n{mark(one['severity'])} {summary}", style))
        parts.append(Text(f"  {tables.printable(one['next_step'])}"))
    if scene["letters"]:
        parts.append(_letters(scene["letters"]))
    if scene["peers"]:
        parts.append(_peers(scene["peers"]))
    parts.append(Text("\nCtrl-C ends this.", "dim"))
    return Group(*parts)


def _letters(letters: list[dict[str, Any]]) -> Table:
    table = _table("letter to", "is", "next try", "because")
    for one in letters[:LETTERS_SHOWN]:
        at = one["next_try_at"]
        again = "" if at is None else moment(at)
        because = how_much(one) or one["reason"]
        row = (one["recipient"], news.how_far(one), again, because)
        table.add_row(*(Text(tables.printable(cell)) for cell in row))
    if len(letters) > LETTERS_SHOWN:
        table.add_row(Text(f"and {len(letters) - LETTERS_SHOWN} more: postroad queue", "dim"))
    return table


def _peers(peers: list[dict[str, Any]]) -> Table:
    table = _table("node of", "now", "last seen", "letters")
    linked_first = sorted(peers, key=lambda one: (one["path"] == "none", one["name"]))
    for one in linked_first:
        now = "" if one["path"] == "none" else f"{one['path']}, {one['milliseconds']} ms"
        row = (one["name"], now, moment(one["seen_at"]), holding(one))
        table.add_row(*(Text(tables.printable(cell)) for cell in row))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
