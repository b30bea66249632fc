"""NetworkManager as far as a node asks it: on the system bus, whether the connection is metered.

It is run as root by the system's own Python, with the D-Bus library of the package. Each line on
stdin is the new value (NMMetered); each is answered once it is told.
"""

import asyncio
import sys

sys.path.insert(0, "/usr/lib/postroad/site")

from dbus_next import BusType, PropertyAccess
from dbus_next.aio import MessageBus
from dbus_next.service import ServiceInterface, dbus_property

NAME, PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"


class NetworkManager(ServiceInterface):  # type: ignore[misc]
    """Its one property."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.metered = 0

    @dbus_property(access=PropertyAccess.READ)  # type: ignore[untyped-decorator]
    def Metered(self) -> "u":  # type: ignore[name-defined]  # noqa: F821
        return self.metered


async def main() -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    manager = NetworkManager()
    bus.export(PATH, manager)
    await bus.request_name(NAME)
    print("there", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        manager.metered = int(line)
        manager.emit_properties_changed({"Metered": manager.metered})
        print(manager.metered, flush=True)


asyncio.run(main())
