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
from postroad.app.telling import moment
from postroad.app.telling_network import holding
from postroad.app.telling_queue import how_much
from postroad.app.tongue import _, many, retold, said

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
    style = STYLES.get(scene["health"], "bold red")
    parts: list[RenderableType] = [Text(said(scene["sentence"]), style)]
    counts = [
        many("{n} contact", "{n} contacts", scene["contact_count"])
        if scene["contact_count"]
        else _("no contacts"),
        many("{n} holder of yours", "{n} holders of yours", scene["holders"])
        if scene["holders"]
        else _("no holders of yours"),
        many("{n} letter on the way", "{n} letters on the way", scene["letters_under_way"])
        if scene["letters_under_way"]
        else _("no letters on the way"),
    ]
    told = ", ".join(counts)
    parts.append(Text(f"{told[:1].upper()}{told[1:]}."))
    for one in scene["problems"]:
        style = PROBLEM_STYLES.get(one["severity"], "bold red")
        summary = tables.printable(retold(one, "summary"))
        parts.append(Text(f"\n{mark(one['severity'])} {summary}", style))
        parts.append(Text(f"  {tables.printable(retold(one, 'next_step'))}"))
    if scene["letters"]:
        parts.append(_letters(scene["letters"]))
    if scene["peers"]:
        parts.append(_peers(scene["peers"]))
    parts.append(Text("\n" + _("Ctrl-C ends this."), "dim"))
    return Group(*parts)


def _letters(letters: list[dict[str, Any]]) -> Table:
    table = _table(_("letter to"), _("is"), _("next try"), _("because"))
    for one in letters[:LETTERS_SHOWN]:
        at = one["next_try_at"]
        again = "" if at is None else moment(at)
        because = how_much(one) or retold(one, "reason")
        row = (one["recipient"], news.how_far(one), again, because)
        table.add_row(*(Text(tables.printable(cell)) for cell in row))
    if len(letters) > LETTERS_SHOWN:
        left = len(letters) - LETTERS_SHOWN
        more = many("and {n} more: postroad queue", "and {n} more: postroad queue", left)
        table.add_row(Text(more, "dim"))
    return table


def _peers(peers: list[dict[str, Any]]) -> Table:
    table = _table(_("node of"), _("now"), _("last seen"), _("letters"))
    linked_first = sorted(peers, key=lambda one: (one["path"] == "none", one["name"]))
    for one in linked_first:
        now = "" if one["path"] == "none" else _way(one)
        row = (one["name"], now, moment(one["seen_at"]), holding(one))
        table.add_row(*(Text(tables.printable(cell)) for cell in row))
    return table


def _way(peer: dict[str, Any]) -> str:
    way = {"direct": _("direct"), "relayed": _("relayed")}.get(peer["path"], peer["path"])
    return _("{way}, {ms} ms").format(way=way, ms=peer["milliseconds"])


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
