"""What programs see of a node: objects, properties, and signals when something changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from bus_scene import Scene, write
from person import until
from postroad import contract
from postroad.contract import BUS_NAME, MANAGER_INTERFACE, ROOT_PATH
from postroad.doors.dbus import interfaces
from postroad.machine.clock import SystemClock
from postroad.protocol.delivery import CANCELLED
from postroad.timeouts import timeout
from session_bus import CLIENTS, Asker, Client, LibraryClient, client, closed, connected

OBJECT_MANAGER = interfaces.OBJECT_MANAGER


def objects(caller: Client) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = caller.call(
        ROOT_PATH, OBJECT_MANAGER, "GetManagedObjects"
    )
    return found


def one_below(found: dict[str, Any], base: str) -> str:
    """The path of the only object below this one."""
    (path,) = [one for one in found if one.startswith(f"{base}/")]
    return path


@pytest.fixture(scope="module")
def asker() -> LibraryClient:
    return LibraryClient("dbus-next")


@pytest.fixture(scope="module")
def met(both: Scene, asker: LibraryClient) -> Scene:
    """Once both know each other, and the board says so."""

    def holds() -> bool:
        found = list(objects(asker))
        kinds = [path.removeprefix(ROOT_PATH).split("/")[1] for path in found if path != ROOT_PATH]
        return sorted(kinds) == ["contact", "device", "peer"]

    until(holds, "Bora is shown, and all letters have arrived")
    return both


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_reads_every_property(met: Scene, asker: LibraryClient, name: str) -> None:
    caller = client(name)
    for path, shown in objects(asker).items():
        (interface,) = shown
        found = caller.properties(path, interface)
        assert found.keys() == interfaces.ours()[interface].properties.keys(), path
        if name != "gdbus":
            assert found.keys() == shown[interface].keys()


def test_the_objects_tell_what_there_is(met: Scene, asker: LibraryClient) -> None:
    found = objects(asker)
    manager = found[ROOT_PATH][MANAGER_INTERFACE]
    assert manager["Address"] == met.anna.address
    assert (manager["ContactCount"], manager["PeersKnown"]) == (1, 1)
    assert manager["Endpoints"]["Smtp"] == met.anna.smtp_port
    assert manager["Health"] in ("ok", "attention")
    path = one_below(found, contract.CONTACT_PATH)
    contact = found[path][contract.CONTACT_INTERFACE]
    assert (contact["Name"], contact["Address"]) == ("bora", met.bora.address)
    assert contact["Trust"] == "unverified"
    (peer_path,) = contact["Peers"]
    peer = found[peer_path][contract.PEER_INTERFACE]
    assert peer["Contact"] == path
    assert peer["Path"] in ("direct", "none")
    assert abs(peer["SeenAt"] - SystemClock().now()) < 600
    device = found[one_below(found, contract.DEVICE_PATH)][contract.DEVICE_INTERFACE]
    assert device["IsThis"]
    assert device["Key"] == manager["Key"]


def shape(xml: str) -> dict[str, list[tuple[str, str, list[tuple[str, ...]]]]]:
    """Interfaces, their members, and the arguments of those, without words."""
    return {
        one.attrib["name"]: sorted(
            (
                member.tag,
                member.attrib["name"],
                [
                    (
                        argument.attrib.get("name", ""),
                        argument.attrib.get("type", ""),
                        argument.get("direction", "out"),
                    )
                    for argument in (*member.findall("arg"), member)
                    if "type" in argument.attrib
                ],
            )
            for member in one
            if member.tag in ("method", "property", "signal")
        )
        for one in ElementTree.fromstring(xml).findall("interface")
    }


def test_the_files_that_are_installed_say_what_the_running_service_says(
    met: Scene, asker: LibraryClient
) -> None:
    seen = set()
    for path, shown in objects(asker).items():
        (interface,) = shown
        told = shape(asker.call(path, interfaces.INTROSPECTABLE, "Introspect"))
        (written,) = shape(f"<node>{interfaces.ours()[interface].xml}</node>").values()
        assert told[interface] == written
        assert (OBJECT_MANAGER in told) == (path == ROOT_PATH)
        seen.add(interface)
    assert seen >= {
        contract.MANAGER_INTERFACE,
        contract.CONTACT_INTERFACE,
        contract.PEER_INTERFACE,
        contract.DEVICE_INTERFACE,
    }


def test_programs_walk_down_the_tree_of_objects(met: Scene, asker: LibraryClient) -> None:
    found = set()

    def walk(path: str) -> None:
        xml = asker.call(path or "/", interfaces.INTROSPECTABLE, "Introspect")
        root = ElementTree.fromstring(xml)
        if any(one.attrib["name"].startswith(BUS_NAME) for one in root.findall("interface")):
            found.add(path)
        for child in root.findall("node"):
            walk(f"{path}/{child.attrib['name']}")

    walk("")
    assert found == set(objects(asker))


def test_who_asks_the_same_again_hears_what_is_now(met: Scene) -> None:
    """Their question is known by its octets, and its answer kept as octets."""

    async def ask_on(ask: Asker) -> list[bool]:
        heard: list[bool] = []

        async def until_it_is(wanted: bool) -> None:
            async with timeout(20):
                while not heard or heard[-1] is not wanted:
                    found = await asyncio.gather(
                        *(
                            ask(ROOT_PATH, interfaces.PROPERTIES, "Get", "ss", *question)
                            for question in (
                                (MANAGER_INTERFACE, "Paused"),
                                (MANAGER_INTERFACE, "Address"),
                            )
                        )
                    )
                    heard.append(found[0])
                    assert found[1] == met.anna.address
                    await asyncio.sleep(0.1)

        for member, signature, arguments, wanted in (
            ("Resume", "", (), False),
            ("Pause", "u", (60,), True),
            ("Resume", "", (), False),
        ):
            await ask(ROOT_PATH, MANAGER_INTERFACE, member, signature, *arguments)
            await until_it_is(wanted)
        return heard

    for library in ("dbus-next", "dbus-fast"):
        heard = LibraryClient(library).session(ask_on)
        assert sorted(set(heard)) == [False, True]


# Signals


def signals_during(work: Callable[[], object], seconds: float) -> list[tuple[float, Any]]:
    """What the node signals while `work` is done in a thread, and for some seconds after it."""

    async def play() -> list[tuple[float, Any]]:
        import dbus_next
        import dbus_next.aio

        bus = await connected(dbus_next.aio)
        heard: list[tuple[float, Any]] = []
        bus.add_message_handler(
            lambda message: (
                heard.append((time.monotonic(), message))
                if message.message_type == dbus_next.MessageType.SIGNAL
                and message.path.startswith(ROOT_PATH)
                else None
            )
        )
        ask = Asker(bus, dbus_next, "org.freedesktop.DBus")
        rule = f"type='signal',path_namespace='{ROOT_PATH}'"
        await ask("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", rule)
        await asyncio.to_thread(work)
        await asyncio.sleep(seconds)
        await closed(bus)
        return heard

    return asyncio.run(play())


def named(heard: list[tuple[float, Any]], member: str) -> list[Any]:
    return [message for _, message in heard if message.member == member]


def test_a_pause_is_told_as_soon_as_it_begins(met: Scene) -> None:
    def work() -> None:
        met.anna.postroad("pause")
        time.sleep(1.2)
        met.anna.postroad("resume")

    heard = signals_during(work, 1.5)
    changes = [one for one in named(heard, "PropertiesChanged") if one.path == ROOT_PATH]
    paused = [one.body[1]["Paused"].value for one in changes if "Paused" in one.body[1]]
    assert paused == [True, False]
    states = [one.body[1]["State"].value for one in changes if "State" in one.body[1]]
    assert states[0] == "paused"
    assert all(one.body[0] == MANAGER_INTERFACE and one.body[2] == [] for one in changes)


def test_a_letter_is_seen_from_its_acceptance_to_its_end(met: Scene) -> None:
    heard = signals_during(lambda: write(met.anna, met.bora, 1), 3.0)
    (queued,) = named(heard, "MessageQueued")
    (delivered,) = named(heard, "MessageDelivered")
    path = queued.body[0]
    assert path.startswith(f"{contract.MESSAGE_PATH}/")
    assert delivered.body[0] == path
    assert delivered.body[1]["Recipient"].value == met.bora.address
    order = [message.member for _, message in heard if path in (message.path, *message.body[:1])]
    assert order[0] == "InterfacesAdded"
    assert order[-1] == "InterfacesRemoved"
    assert not named(heard, "MessageFailed")


def test_why_a_letter_came_back_is_told_in_parts(met: Scene) -> None:
    def cancel() -> None:
        write(met.anna, met.bora, 1)
        (letter,) = met.anna.postroad("queue")["queue"]
        met.anna.postroad("queue", "cancel", str(letter["id"]))

    met.bora.stop()
    heard = signals_during(cancel, 2.0)
    met.bora.start()
    (failed,) = named(heard, "MessageFailed")
    _, error, text, details = failed.body
    assert (failed.signature, error, text) == ("ossa{sv}", "cancelled", CANCELLED)
    (part,) = details["TextParts"].value
    assert (part["Template"].value, part["Arguments"].value) == (CANCELLED, {})


def test_nothing_is_told_more_often_than_twice_a_second(met: Scene) -> None:
    """However fast letters go, and with links that come and go meanwhile."""
    heard = signals_during(lambda: write(met.anna, met.bora, 60), 2.0)
    times: dict[tuple[str, str], list[float]] = {}  # of each node: the other one is here, too
    for at, message in heard:
        if message.member == "PropertiesChanged":
            times.setdefault((message.sender, message.path), []).append(at)
    assert times  # of the root nothing, where all letters went between two looks
    for found in times.values():
        for first, third in zip(found, found[2:], strict=False):
            assert third - first > 0.8
    ended = named(heard, "MessageDelivered")
    assert len({one.body[0] for one in ended}) == len(ended) > 0


def test_nothing_is_told_while_nothing_happens(met: Scene) -> None:
    until(lambda: not signals_during(lambda: None, 2.0), "the node comes to rest", 60.0)
