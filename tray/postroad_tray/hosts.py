"""The panels that show icons of programs, as both kinds of our icon know them.

Source: the StatusNotifierItem specification of freedesktop.org, "StatusNotifierWatcher".
"""

from __future__ import annotations

REGISTER_AT = "org.kde.StatusNotifierWatcher"  # a name on the session bus, and its interface
REGISTER_AT_PATH = "/StatusNotifierWatcher"
SETTLE_SECONDS = 1.0  # what a panel gets, once it is there, before an icon it does not show is odd
