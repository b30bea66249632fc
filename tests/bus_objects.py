"""Objects of the bus as things that one calls and asks; which methods were called is noted."""

from __future__ import annotations

from typing import Any

from postroad.contract import ROOT_PATH
from postroad.doors.dbus import interfaces
from session_bus import LibraryClient

CALLED: set[tuple[str, str]] = set()


class Remote:
    """An object on the bus; what is called is noted."""

    def __init__(self, asker: LibraryClient, path: str, interface: str) -> None:
        self._asker = asker
        self.path = path
        self._interface = interface

    def __call__(self, method: str, *arguments: Any) -> Any:
        CALLED.add((self._interface, method))
        takes = interfaces.ours()[self._interface].methods[method].takes
        return self._asker.call(self.path, self._interface, method, takes, *arguments)

    def __getitem__(self, name: str) -> Any:
        return self._asker.properties(self.path, self._interface)[name]


def below(asker: LibraryClient, base: str) -> list[str]:
    found = asker.call(ROOT_PATH, interfaces.OBJECT_MANAGER, "GetManagedObjects")
    return sorted(path for path in found if path.startswith(f"{base}/"))


def variant(signature: str, value: Any) -> Any:
    return LibraryClient("dbus-next").Variant(signature, value)
