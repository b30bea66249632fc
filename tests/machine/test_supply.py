"""When a node spares: read from files as the kernel has them, and heard on a real bus."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    MatchRule,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.bus_messages import message_bus  # type: ignore[import-untyped]
from jeepney.io.asyncio import DBusRouter, Proxy, open_dbus_connection  # type: ignore[import-untyped]

from needed import skip_without
from postroad.app.node import Node
from postroad.machine.supply import (
    NETWORK_MANAGER,
    NETWORK_MANAGER_PATH,
    PROPERTIES,
    SystemSupply,
    on_battery,
)
from postroad.timeouts import timeout


def supply(folder: Path, name: str, **facts: str) -> Path:
    made = folder / name
    made.mkdir(exist_ok=True)
    for fact, value in facts.items():
        (made / fact).write_text(value + "\n")
    return made


def test_a_laptop_that_is_unplugged_is_on_battery_and_others_are_not(tmp_path: Path) -> None:
    assert not on_battery(tmp_path / "none")
    assert not on_battery(tmp_path)
    supply(tmp_path, "mouse", type="Battery", scope="Device", status="Discharging")
    assert not on_battery(tmp_path)
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    plug = supply(tmp_path, "AC", type="Mains", online="0")
    assert on_battery(tmp_path)
    supply(tmp_path, plug.name, online="1")
    assert not on_battery(tmp_path)


def test_what_the_owner_does_not_want_to_be_spared_is_not(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    for wanted in (True, False):
        found = SystemSupply(spare_battery=wanted, supplies=tmp_path)
        found.look_at_battery()
        assert found.is_on_battery
        assert found.is_scarce is wanted


@contextmanager
def dbus_daemon() -> Iterator["subprocess.Popen[str]"]:
    command = ["dbus-daemon", "--session", "--nofork", "--print-address=1"]
    skip_without("dbus-daemon")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        yield daemon
        daemon.terminate()


@pytest.fixture
def bus() -> Iterator[str]:
    with dbus_daemon() as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()


@asynccontextmanager
async def router_at(bus: str) -> AsyncIterator[DBusRouter]:
    connection = await open_dbus_connection(bus)
    try:
        async with DBusRouter(connection) as router:
            yield router
    finally:
        connection.writer.close()  # also when the bus went first


async def play_network_manager(router: DBusRouter, metered: int) -> None:
    """Answers whoever asks for Metered, until cancelled."""
    rule = MatchRule(type="method_call", interface=PROPERTIES, path=NETWORK_MANAGER_PATH)
    with router.filter(rule, bufsize=8) as calls:
        await Proxy(message_bus, router).RequestName(NETWORK_MANAGER)
        while True:
            call = await calls.get()
            if call.body[1] == "Metered":
                await router.send(new_method_return(call, "v", (("u", metered),)))
            else:
                await router.send(new_error(call, "org.freedesktop.DBus.Error.UnknownProperty"))


def changed_to(metered: int) -> Any:
    at = DBusAddress(NETWORK_MANAGER_PATH, interface=PROPERTIES)
    body: Any = (NETWORK_MANAGER, {"Metered": ("u", metered)}, [])
    return new_signal(at, "PropertiesChanged", "sa{sv}as", body)


def test_a_metered_connection_is_heard_of_at_the_start_and_when_it_changes(
    bus: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with router_at(bus) as router:
            playing = asyncio.create_task(play_network_manager(router, 1))
            while True:  # the name has to be there before it is asked for
                (has,) = await Proxy(message_bus, router).NameHasOwner(NETWORK_MANAGER)
                if has:
                    break
            found = SystemSupply(supplies=tmp_path, bus=bus)
            async with timeout(20), found.watched():
                await found.changed()
                assert (found.is_metered, found.is_scarce) == (True, True)
                await router.send(changed_to(4))
                await found.changed()
                assert (found.is_metered, found.is_scarce) == (False, False)
                await router.send(changed_to(3))
                await found.changed()
                assert (found.is_metered, found.is_scarce) == (True, True)
            playing.cancel()

    asyncio.run(play())


def test_with_the_bus_goes_its_last_word(tmp_path: Path) -> None:
    async def play(daemon: subprocess.Popen[str]) -> None:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        found = SystemSupply(supplies=tmp_path, bus=address)
        async with router_at(address) as router, timeout(20):
            playing = asyncio.create_task(play_network_manager(router, 1))
            while not (await Proxy(message_bus, router).NameHasOwner(NETWORK_MANAGER))[0]:
                pass
            async with found.watched():
                await found.changed()
                assert found.is_metered
                playing.cancel()
                daemon.terminate()
                await found.changed()
                assert (found.is_metered, found.is_scarce) == (False, False)

    with dbus_daemon() as daemon, suppress(OSError, EOFError):  # our own connection ends, too
        asyncio.run(play(daemon))


def test_holders_meet_their_siblings_only_while_there_is_plenty() -> None:
    """What their owners fetch is not touched: that is mail."""

    class Siblings:
        is_running = False

        async def run(self) -> None:
            self.is_running = True
            try:
                await asyncio.Event().wait()
            finally:
                self.is_running = False

    class Supply:
        def __init__(self) -> None:
            self.is_scarce = False
            self.news = asyncio.Queue[None]()

        async def changed(self) -> None:
            await self.news.get()

    async def play() -> None:
        supply, siblings = Supply(), Siblings()
        node: Any = SimpleNamespace(machine=SimpleNamespace(supply=supply), siblings=siblings)
        meeting = asyncio.create_task(Node._meet_siblings(node))
        for scarce in (False, True, False, True):
            supply.is_scarce = scarce
            supply.news.put_nowait(None)
            for _ in range(20):
                await asyncio.sleep(0)
            assert siblings.is_running is not scarce
        meeting.cancel()

    asyncio.run(play())


def test_without_a_bus_or_its_network_manager_nothing_is_metered(tmp_path: Path) -> None:
    async def play(at: str, daemon: "subprocess.Popen[str] | None" = None) -> None:
        found = SystemSupply(supplies=tmp_path, bus=at)
        async with found.watched(), timeout(20):
            (watching,) = (one for one in asyncio.all_tasks() if one.get_name() == "metered")
            if daemon is not None:
                await until_somebody_else_came(at)
                assert not found.is_scarce
                daemon.terminate()
            await asyncio.wait({watching})
            assert not found.is_scarce

    asyncio.run(play(f"unix:path={tmp_path}/none"))
    with dbus_daemon() as daemon:
        assert daemon.stdout is not None
        asyncio.run(play(daemon.stdout.readline().strip(), daemon))


async def until_somebody_else_came(at: str) -> None:
    async with router_at(at) as router:
        while True:
            (names,) = await Proxy(message_bus, router).ListNames()
            if len([one for one in names if one.startswith(":")]) > 1:
                return
