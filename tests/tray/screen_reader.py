"""What a screen reader is told of the windows on a desktop, and so where a hand may click.

Purpose: look at a program from outside, over the bus that desktops have for that (AT-SPI): each
thing that shows, with its name, its words and its place on the screen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from bus_scene import wait_for_name
from session_bus import Asker, LibraryClient, Said
from tray.panels import Desktop

LAUNCHER = "/usr/libexec/at-spi-bus-launcher"
NAME, PATH = "org.a11y.Bus", "/org/a11y/bus"
REGISTRY, ROOT = "org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"
ACCESSIBLE, TEXT, COMPONENT = (
    f"org.a11y.atspi.{each}" for each in ("Accessible", "Text", "Component")
)
PROPERTIES = "org.freedesktop.DBus.Properties"
SHOWING, SENSITIVE = 1 << 25, 1 << 24  # of AtspiStateType
ON_THE_SCREEN = 0  # the place is told so, and not as one in the window


@dataclass(frozen=True, slots=True)
class Element:
    """A thing that shows. `text`: what is written in it; `middle`: of its place on the screen."""

    role: str
    name: str
    text: str
    middle: tuple[int, int]
    is_enabled: bool


class ScreenReader:
    """Of one desktop; programs that are begun with its `surroundings` from now on tell it all."""

    def __init__(self, place: Desktop) -> None:
        place.surroundings["QT_LINUX_ACCESSIBILITY_ALWAYS_ON"] = "1"
        session = place.surroundings["DBUS_SESSION_BUS_ADDRESS"]
        place.begin(LAUNCHER, "--launch-immediately")
        wait_for_name(NAME, address=session)
        address = LibraryClient("dbus-next", session).call(
            PATH, NAME, "GetAddress", destination=NAME
        )
        self._client = LibraryClient("dbus-next", str(address))

    def elements(self) -> list[Element]:
        """All that show now, of all programs, each before what is in it."""

        async def look(registry: Asker) -> list[Element]:
            return [
                one
                for program, path in await registry(ROOT, ACCESSIBLE, "GetChildren")
                async for one in _inside(registry, program, path)
            ]

        found: list[Element] = self._client.session(look, REGISTRY)
        return found


async def _inside(asked: Asker, program: str, path: str) -> AsyncIterator[Element]:
    ask = Asker(asked.bus, asked.library, program)
    try:
        for owner, child in await ask(path, ACCESSIBLE, "GetChildren"):
            found = await _element(ask, child)
            if found is not None:
                yield found
                async for one in _inside(ask, owner, child):
                    yield one
    except Said:  # it has gone meanwhile
        return


async def _element(ask: Asker, path: str) -> Element | None:
    """None: it does not show, and so does nothing in it."""
    state, _ = await ask(path, ACCESSIBLE, "GetState")
    if not state & SHOWING:
        return None
    has_text = TEXT in await ask(path, ACCESSIBLE, "GetInterfaces")
    left, top, width, height = await ask(path, COMPONENT, "GetExtents", "u", ON_THE_SCREEN)
    return Element(
        role=await ask(path, ACCESSIBLE, "GetRoleName"),
        name=await ask(path, PROPERTIES, "Get", "ss", ACCESSIBLE, "Name"),
        text=await ask(path, TEXT, "GetText", "ii", 0, -1) if has_text else "",
        middle=(left + width // 2, top + height // 2),
        is_enabled=bool(state & SENSITIVE),
    )
