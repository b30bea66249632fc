"""Where the owner's session bus is, as their session says; the variables are read here alone."""

import os
from collections.abc import Mapping
from pathlib import Path

from postroad.doors.dbus.bus import Library

LIBRARY = "POSTROAD_DBUS_LIBRARY"  # for tests, and for whoever's Python imports dbus-next no more


def address(variables: Mapping[str, str] = os.environ) -> str | None:
    """The address of the bus; None without a session. It need not be there yet.

    See: D-Bus Specification, "Well-known Message Bus Instances"; sd_bus_open_user(3)."""
    named = variables.get("DBUS_SESSION_BUS_ADDRESS")
    runtime = variables.get("XDG_RUNTIME_DIR")
    if named or not runtime:
        return named or None
    return f"unix:path={Path(runtime) / 'bus'}"


def library(variables: Mapping[str, str] = os.environ) -> Library:
    """Which library speaks D-Bus: `dbus-next` unless another one is wanted."""
    return Library(variables.get(LIBRARY) or Library.NEXT)
