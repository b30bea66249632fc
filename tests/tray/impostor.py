"""A program that has the name of the service and is not the service: one that tests start.

impostor.py WHAT       prints "ready" once it has the name; ends when its stdin does
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from postroad import contract
from postroad.doors import messages
from postroad.doors.dbus.carried import Patient
from postroad.doors.dbus.values import Typed, table
from postroad_tray.facts import KINDS
from tray import pictures

ROOT, MANAGER = contract.ROOT_PATH, contract.MANAGER_INTERFACE
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
TREE = "a{oa{sa{sv}}}"
MANY = 1000
TURNED = "gnp.exe\u202e"
ODD: list[tuple[str, list[Any]]] = [
    ("", []),
    ("as", [["no", "objects"]]),
    ("i", [-1]),
    ("a{sv}", [{"State": Variant("s", "online")}]),
    ("a{os}", [{ROOT: "online"}]),
    ("a{oa{ss}}", [{ROOT: {MANAGER: "online"}}]),
    ("a{oa{sa{ss}}}", [{ROOT: {MANAGER: {"State": "online"}}}]),
    ("ay", [bytes(1000)]),
    ("v", [Variant("v", Variant("s", "in one another"))]),
]


def node(**properties: Variant) -> dict[str, Any]:
    return {ROOT: {MANAGER: properties}}


def changed(path: str, interface: str, properties: dict[str, Variant]) -> Message:
    body = [interface, properties, []]
    return Message.new_signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", body)


class Impostor:
    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.answers: Callable[[], tuple[str, list[Any]]] = lambda: (
            TREE,
            [node(State=Variant("s", "online"), ParcelsUnderWay=Variant("u", 0))],
        )
        self.answers_to: dict[str, tuple[str, list[Any]]] = {}  # by member; else an empty one
        self.wait_seconds = 0.0
        self.asked = asyncio.Event()

    def heard(self, message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        if message.member == "GetManagedObjects":
            self.asked.set()
            signature, body = self.answers()
        elif message.member == "Exit":
            os._exit(0)
        elif message.member == "Ping":
            print("ping", flush=True)
            signature, body = "", []
        else:
            signature, body = self.answers_to.get(message.member or "", ("", []))
        reply = Message.new_method_return(message, signature, body)
        if self.wait_seconds:
            asyncio.get_running_loop().call_later(self.wait_seconds, self.bus.send, reply)
        else:
            self.bus.send(reply)  # before whatever is said after it
        return True

    async def take(self) -> None:
        await self.bus.request_name(contract.BUS_NAME)


async def a_burst(self: Impostor) -> None:
    number = 0
    self.answers = lambda: (
        TREE,
        [node(State=Variant("s", "online"), ParcelsUnderWay=Variant("u", number))],
    )
    await self.asked.wait()
    for number in range(1, MANY + 1):
        await self.bus.send(changed(ROOT, MANAGER, {"ParcelsUnderWay": Variant("u", number)}))


async def a_flood(self: Impostor) -> None:
    await self.asked.wait()
    many = {f"P{number}": Variant("s", "x" * 50) for number in range(100)}
    path = f"{contract.PEER_PATH}/1"
    while True:
        await self.bus.send(changed(ROOT, MANAGER, {"ParcelsUnderWay": Variant("u", 1), **many}))
        added = [path, {contract.PEER_INTERFACE: {"Name": Variant("s", "x" * 10_000)}}]
        await self.bus.send(
            Message.new_signal(ROOT, OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", added)
        )


async def hints(self: Impostor) -> None:
    await self.asked.wait()
    while True:
        details = {"TextParts": Variant("s", "x" * 10_000)}
        body = [f"{contract.MESSAGE_PATH}/1", "failed", "x" * 10_000, details]
        await self.bus.send(Message.new_signal(ROOT, MANAGER, "MessageFailed", "ossa{sv}", body))


async def ever_more_objects(self: Impostor) -> None:
    await self.asked.wait()
    for number in range(1_000_000):
        path = f"{contract.PEER_PATH}/{number}"
        added = [path, {contract.PEER_INTERFACE: {"Name": Variant("s", str(number))}}]
        await self.bus.send(
            Message.new_signal(ROOT, OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", added)
        )


async def ever_other_types(self: Impostor) -> None:
    """A library keeps each signature that it sees."""
    await self.asked.wait()
    for number in range(1_000_000):
        of = "".join("biuxtd"[int(digit) % 6] for digit in f"{number:08d}")
        value = Variant(f"a({of})", [])
        await self.bus.send(changed(ROOT, MANAGER, {"ParcelsUnderWay": value}))


async def odd_answers(self: Impostor) -> None:
    turn = 0

    def answers() -> tuple[str, list[Any]]:
        nonlocal turn
        turn += 1
        return ODD[(turn - 1) % len(ODD)]

    self.answers = answers
    await self.asked.wait()
    for signature, body in ODD:
        for member in ("InterfacesAdded", "InterfacesRemoved", "PropertiesChanged"):
            of = PROPERTIES if member == "PropertiesChanged" else OBJECT_MANAGER
            await self.bus.send(Message.new_signal(ROOT, of, member, signature, body))


async def huge(self: Impostor) -> None:
    flood: dict[str, Any] = {
        f"{contract.PEER_PATH}/{n}": {contract.PEER_INTERFACE: {}} for n in range(60_000)
    }
    self.answers = lambda: (TREE, [flood])
    await self.asked.wait()
    for _ in range(3):
        value = {"Sentence": Variant("ay", bytes(5_000_000))}
        await self.bus.send(changed(ROOT, MANAGER, value))
    await asyncio.sleep(1.0)
    self.answers = lambda: (TREE, [node(Address=Variant("s", "of.normal@size"))])


async def many_small_things(self: Impostor) -> None:
    """As many values as fit into what is read at most."""
    values = Variant("av", [Variant("y", 1)] * 900_000)
    self.answers = lambda: (TREE, [node(Problems=values)])


async def deep(self: Impostor) -> None:
    value = Variant("s", "at the bottom")
    for _ in range(50):  # the bus itself lets 64 through, with all around
        value = Variant("v", value)
    self.answers = lambda: (TREE, [node(Sentence=value)])
    await self.asked.wait()
    self.answers = lambda: (TREE, [node(Address=Variant("s", "of.normal@depth"))])


async def elsewhere(self: Impostor) -> None:
    other = {contract.PEER_INTERFACE: {"Name": Variant("s", "nobody")}}
    found = node(Address=Variant("s", TURNED), Sentence=Variant("s", "<b>bold</b>\nand more"))
    self.answers = lambda: (TREE, [{**found, "/": other, "/org/other/peer/1": other}])
    await self.asked.wait()
    await self.bus.send(
        Message.new_signal(
            "/org/other", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", ["/org/other/2", other]
        )
    )


async def slow(self: Impostor) -> None:
    self.wait_seconds = 4.0


async def now_and_then(self: Impostor) -> None:
    """It lets the name go and takes it again."""
    await self.asked.wait()
    for _ in range(500):
        await self.bus.release_name(contract.BUS_NAME)
        await self.take()


async def deaf(self: Impostor) -> None:
    """It answers nothing, and says a lot."""
    self.wait_seconds = 1e6
    await self.asked.wait()
    while True:
        await self.bus.send(changed(ROOT, MANAGER, {"ParcelsUnderWay": Variant("u", 1)}))
        await asyncio.sleep(0.001)


async def a_busy_network(self: Impostor) -> None:
    """50 contacts with a node each, 200 letters that are objects of 1,000, and each object changes
    twice a second, as often as the service tells of it."""
    count = Variant("u", 1000)
    told = node(State=Variant("s", "online"), ParcelsUnderWay=count, PeersKnown=Variant("u", 50))
    objects: dict[str, Any] = {**told}
    for number in range(50):
        address = Variant("s", f"somebody-{number}.of2a3b4c5d6e7f2a3b4c5d6e7f2a3b4c@postroad.alt")
        peer = f"{contract.PEER_PATH}/{number:064x}"
        contact = f"{contract.CONTACT_PATH}/{number:032x}"
        both = {"Name": Variant("s", f"Somebody {number}"), "Address": address}
        both |= {"Online": Variant("b", True), "SeenAt": Variant("t", 1_795_000_000)}
        both |= {"Trust": Variant("s", "verified"), "HoldsForUs": Variant("b", True)}
        objects[peer] = {
            contract.PEER_INTERFACE: {
                **both,
                "Key": Variant("s", f"{number:064x}"),
                "Contact": Variant("o", contact),
                "Path": Variant("s", "direct"),
                "RoundTripMilliseconds": Variant("d", 12.5),
            }
        }
        peers = {"Fingerprint": Variant("s", f"{number:032x}"), "Peers": Variant("ao", [peer])}
        objects[contact] = {contract.CONTACT_INTERFACE: {**both, **peers}}
    for number in range(200):
        letter = {
            "Letter": Variant("s", f"{number:032x}"),
            "Recipient": Variant("s", f"somebody-{number % 50}@postroad.alt"),
            "State": Variant("s", "waiting"),
            "Size": Variant("t", 4000),
            "Tries": Variant("u", 3),
            "AcceptedAt": Variant("t", 1_795_000_000 + number),
            "ExpiresAt": Variant("t", 1_797_000_000),
            "NextTryAt": Variant("t", 1_795_000_900),
            "Reason": Variant("s", "Neither the recipient nor a holder of theirs was reached."),
        }
        objects[f"{contract.MESSAGE_PATH}/{number}"] = {contract.MESSAGE_INTERFACE: letter}
    self.answers = lambda: (TREE, [objects])
    await self.asked.wait()
    turn = 0
    while True:
        turn += 1
        for path, interfaces in objects.items():
            ((interface, _),) = interfaces.items()
            what = {"SeenAt": Variant("t", turn), "Tries": Variant("u", turn)}
            if interface == MANAGER:
                what = {"PeersOnline": Variant("u", turn % 50)}
            await self.bus.send(changed(path, interface, what))
        await asyncio.sleep(0.5)


def wired(value: Any) -> Any:
    """With variants of the library, as the service sends them (doors/dbus/bus.py)."""
    if isinstance(value, Typed):
        return Variant(value.signature, wired(value.value))
    if isinstance(value, dict):
        return {key: wired(one) for key, one in value.items()}
    return [wired(one) for one in value] if isinstance(value, list) else value


async def a_crowd(self: Impostor) -> None:
    """`pictures.crowded` as the service would tell it, of whose letters so many at most are
    objects."""
    told = pictures.crowded()
    objects: dict[str, Any] = {contract.ROOT_PATH: {contract.MANAGER_INTERFACE: asdict(told.node)}}
    for interface, (name, _) in KINDS.items():
        for one in getattr(told, name)[: messages.AT_MOST]:
            properties = asdict(one)
            objects[properties.pop("object_path")] = {interface: properties}
    for interfaces in objects.values():
        for interface, properties in interfaces.items():
            interfaces[interface] = wired(table(properties))
    self.answers = lambda: (TREE, [objects])
    self.answers_to["GetStatistics"] = ("a{sv}", [wired(table(pictures.numbers()))])


async def honest(self: Impostor) -> None:
    self.answers = lambda: (TREE, [node(Address=Variant("s", "of.the@impostor"))])


WHAT: dict[str, Callable[[Impostor], Coroutine[Any, Any, None]]] = {
    one.__name__: one
    for one in (
        a_burst, a_flood, hints, ever_more_objects, ever_other_types, odd_answers, huge,
        many_small_things, a_busy_network, a_crowd, deep, elsewhere, slow, now_and_then, deaf,
        honest,
    )
}  # fmt: skip


async def main(what: str) -> None:
    bus = await MessageBus(bus_address=os.environ["DBUS_SESSION_BUS_ADDRESS"]).connect()
    writer: Any = bus._writer
    writer.sock = Patient(writer.sock)  # it takes a socket that is full for a broken one
    impostor = Impostor(bus)
    bus.add_message_handler(impostor.heard)
    work = asyncio.create_task(WHAT[what](impostor))
    await asyncio.sleep(0)  # what it answers is decided now
    await impostor.take()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    work.cancel()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
