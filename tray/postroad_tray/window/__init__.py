"""The window: pages at the left, what is wrong above them.

What it is made of is imported when it is first opened, or by `load` in a turn before: a tray whose
window nobody opens does without.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from postroad_tray.client import Client
from postroad_tray.trails import Trails

if TYPE_CHECKING:
    from postroad_tray.window.frame import Frame
    from postroad_tray.window.page import Entry

__all__ = ["load", "open_window"]


def load() -> None:
    """What `open_window` would load, before it."""
    from postroad_tray.window import contents, frame, overview  # noqa: F401


def open_window(
    client: Client,
    *,
    page: str = "",
    trails: Trails | None = None,
    stays: Callable[[], bool] = lambda: False,
    leave: Callable[[], None] = lambda: None,
    now: Callable[[], float] = time.time,  # noqa: TID251, for all clocks of the window
    entries: Sequence[Entry] | None = None,
) -> Frame:
    """Make the window and show it, at the page (or `deeds.Place`) of that name, or where it was
    left. One that is there already is shown with `Frame.come`.

    `trails` has noted the pictures so far; without it the hour of the peers begins now. `stays`:
    whether the tray goes on without a window (there is an icon), so that closing only hides it;
    `leave` ends the tray. `entries` are all pages, unless a test has its own."""
    from postroad_tray.window.contents import contents
    from postroad_tray.window.frame import Frame

    if trails is None:
        noted = trails = Trails()
        client.watch(lambda picture: noted.note(picture, now()))
    frame = Frame(client, entries or contents(client, trails), stays=stays, leave=leave, now=now)
    frame.come(page)
    return frame
