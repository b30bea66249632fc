"""Know when to spare the battery and the connection: `base.seams.Supply`, and nothing is polled.

Purpose: the kernel tells of each change of a power supply (uevents on netlink), NetworkManager of
the connection (its property Metered, over the system bus); both are looked at then, and at the
start. What cannot be told is plenty: a computer without a battery, another network manager, a bus
that is not there. When the bus goes, the last word on the connection is forgotten with it.
See: Documentation/ABI/testing/sysfs-class-power; NMMetered in NetworkManager's D-Bus reference.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from postroad.timeouts import timeout

log = logging.getLogger(__name__)
SUPPLIES = Path("/sys/class/power_supply")
KERNEL_NEWS = 1  # the group of the kernel's own uevents
NOTE_BYTES = 64 * 1024
BUS_SECONDS_MAX = 5.0
METERED = (1, 3)  # NM_METERED_YES, NM_METERED_GUESS_YES
NETWORK_MANAGER = "org.freedesktop.NetworkManager"
NETWORK_MANAGER_PATH = "/org/freedesktop/NetworkManager"
PROPERTIES = "org.freedesktop.DBus.Properties"


class SystemSupply:
    """Watches while `watched` lasts. `spare_battery`, `spare_connection`: what the owner wants;
    `bus`: the system bus, as jeepney names it."""

    def __init__(
        self,
        *,
        spare_battery: bool = True,
        spare_connection: bool = True,
        supplies: Path = SUPPLIES,
        bus: str = "SYSTEM",
    ) -> None:
        self._spare_battery = spare_battery
        self._spare_connection = spare_connection
        self._supplies = supplies
        self._bus = bus
        self._changed = asyncio.Event()
        self.is_on_battery = False
        self.is_metered = False

    @property
    def is_scarce(self) -> bool:
        return (self._spare_battery and self.is_on_battery) or (
            self._spare_connection and self.is_metered
        )

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        self.look_at_battery()
        loop = asyncio.get_running_loop()
        news = _kernel_news()
        if news is not None:
            loop.add_reader(news, self._heard, news)
        watching = asyncio.create_task(self._watch_connection(), name="metered")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            if news is not None:
                loop.remove_reader(news)
                news.close()

    def look_at_battery(self) -> None:
        found = on_battery(self._supplies)
        if found != self.is_on_battery:
            self.is_on_battery = found
            self._tell()

    def _tell(self) -> None:
        log.info(
            "what the node lives on is another one",
            extra={"on_battery": self.is_on_battery, "metered": self.is_metered},
        )
        self._changed.set()

    def _heard(self, news: socket.socket) -> None:
        about_power = False
        with suppress(OSError):  # until it is empty; an overflow may have hidden something
            while note := news.recv(NOTE_BYTES):
                about_power |= b"SUBSYSTEM=power_supply" in note
        if about_power:
            self.look_at_battery()

    async def _watch_connection(self) -> None:
        try:
            await self._follow_network_manager()
        except (OSError, EOFError, TimeoutError, KeyError, ValueError) as error:
            log.debug("nobody tells whether the connection is metered: %s", error)
        self._set_metered(0)

    async def _follow_network_manager(self) -> None:
        """Until the bus goes: EOFError, or OSError."""
        # Loaded here: most commands never need it.
        from jeepney import (  # type: ignore[import-untyped]
            DBusAddress,
            HeaderFields,
            MatchRule,
            MessageType,
            Properties,
            message_bus,
        )

        manager = DBusAddress(NETWORK_MANAGER_PATH, NETWORK_MANAGER, NETWORK_MANAGER)
        rule = MatchRule(
            type="signal",
            interface=PROPERTIES,
            member="PropertiesChanged",
            path=NETWORK_MANAGER_PATH,
        )
        async with _connected(self._bus) as bus:
            await bus.send(message_bus.Hello())
            await bus.send(message_bus.AddMatch(rule))
            await bus.send(Properties(manager).get("Metered"))
            while True:
                message = await bus.receive()
                kind, fields = message.header.message_type, message.header.fields
                if kind is MessageType.signal and fields.get(HeaderFields.interface) == PROPERTIES:
                    self._heard_of_connection(message.body)
                elif (
                    kind is MessageType.method_return
                    and message.header.fields.get(HeaderFields.signature) == "v"
                ):  # the one of our questions that is answered with a value
                    self._set_metered(message.body[0][1])

    def _heard_of_connection(self, body: Any) -> None:
        if body[0] == NETWORK_MANAGER and "Metered" in body[1]:
            self._set_metered(body[1]["Metered"][1])

    def _set_metered(self, value: object) -> None:
        found = value in METERED
        if found != self.is_metered:
            self.is_metered = found
            self._tell()


@asynccontextmanager
async def _connected(bus: str) -> AsyncIterator[Any]:
    """A connection to this bus that is closed whatever happens; the library's own way to open one
    leaves the socket to nobody when the bus goes meanwhile."""
    from jeepney.auth import BEGIN, Authenticator  # type: ignore[import-untyped]
    from jeepney.bus import get_bus  # type: ignore[import-untyped]
    from jeepney.io.asyncio import DBusConnection  # type: ignore[import-untyped]

    async with timeout(BUS_SECONDS_MAX):
        reader, writer = await asyncio.open_unix_connection(get_bus(bus))
    try:
        async with timeout(BUS_SECONDS_MAX):
            authenticator = Authenticator()
            for asked in authenticator:
                writer.write(asked)
                if not (answer := await reader.read(1024)):
                    raise EOFError("the bus closed")
                authenticator.feed(answer)
            writer.write(BEGIN)
            await writer.drain()
        yield DBusConnection(reader, writer)
    finally:
        writer.close()


def on_battery(supplies: Path = SUPPLIES) -> bool:
    """Whether a battery of the computer itself feeds it, and nothing else."""
    discharging = False
    with suppress(OSError):
        for supply in sorted(supplies.iterdir()):
            kind = _read(supply / "type")
            if kind in ("Mains", "USB", "Wireless") and _read(supply / "online") == "1":
                return False
            if kind == "Battery" and _read(supply / "scope") != "Device":
                discharging |= _read(supply / "status") == "Discharging"
    return discharging


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _kernel_news() -> socket.socket | None:
    try:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        news = socket.socket(socket.AF_NETLINK, kind, 15)  # NETLINK_KOBJECT_UEVENT
    except OSError as error:  # some sandboxes allow none of it
        log.warning("whether the computer runs on battery is known from the start: %s", error)
        return None
    try:
        news.bind((0, KERNEL_NEWS))
    except OSError as error:
        news.close()
        log.warning("whether the computer runs on battery is known from the start: %s", error)
        return None
    return news
