"""The list at the left of the window: the one place that knows all pages.

A page's module is imported when it is first looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from postroad_tray.client import Client
from postroad_tray.tongue import _
from postroad_tray.window.marks import Glyph
from postroad_tray.window.page import Entry, Page


def contents(client: Client) -> Sequence[Entry]:
    def overview() -> Page:
        from postroad_tray.window.overview import Overview

        return Overview(client)

    def health() -> Page:
        from postroad_tray.window.health import Health

        return Health(client)

    return (
        Entry("overview", _("Overview"), Glyph.OVERVIEW, overview),
        Entry("health", _("Health"), Glyph.HEALTH, health),
    )
