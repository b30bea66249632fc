"""Look at the node, and write the board that is shown on the bus.

Purpose: ask the desks what they tell anybody who may ask, and lay it out as objects. It is done at
most twice a second, after the bell rang, and while somebody is there to see it.
Invariants: a board tells of a bounded number of messages; no subject, no text and no secret is on
it; what the store cannot tell stays as it was shown before, and only how the node does is another.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from postroad import __version__
from postroad.base.errors import PostroadError
from postroad.contract import (
    CONTACT_INTERFACE,
    CONTACT_PATH,
    DEVICE_INTERFACE,
    DEVICE_PATH,
    MANAGER_INTERFACE,
    MESSAGE_INTERFACE,
    MESSAGE_PATH,
    PEER_INTERFACE,
    PEER_PATH,
    REQUEST_INTERFACE,
    REQUEST_PATH,
    ROOT_PATH,
    MessageState,
    Path,
)
from postroad.doors.dbus.board import Board, Look, Shown, Signal
from postroad.doors.dbus.interfaces import ours
from postroad.doors.dbus.values import Typed, clean, table
from postroad.message.address import parse
from postroad.protocol.health import Facts, Verdict, judge

Reply = dict[str, Any]
Question = Callable[[dict[str, Any]], Awaitable[Reply]]
EVENTS_MAX = 100  # at once; whoever needs to know all reads the properties
_ENDED = (MessageState.DELIVERED, MessageState.FAILED, MessageState.CANCELLED)


@dataclass(slots=True)
class Memory:
    """What the last look saw, to tell what has happened since. `board`: the last one that the store
    could tell."""

    board: Board | None = None
    newest: int | None = None
    open: set[int] = field(default_factory=set)
    requests: set[str] | None = None


def plain(verdict: Verdict) -> Board:
    """The board of a node that is not there yet: nothing but how it does, and what to do."""
    manager: dict[str, Any] = dict.fromkeys(ours()[MANAGER_INTERFACE].properties, 0)
    manager |= {
        "Version": __version__,
        **_verdict(verdict.told()),
        "Address": "",
        "Key": "",
        "Paused": False,
        "Endpoints": {},
    }
    return Board({ROOT_PATH: Shown(MANAGER_INTERFACE, manager)})


async def look(questions: Mapping[str, Question], memory: Memory) -> tuple[Look, Memory]:
    """What the node looks like now, and what is to be remembered of it."""
    status = await questions["status"]({})
    if "contact_count" not in status:  # nothing of the store could be read, as its verdict says
        return Look(_troubled(status, memory.board)), memory
    try:
        return await _look(questions, memory, status)
    except PostroadError as error:
        verdict = _with_trouble(status, str(error))
        return Look(_troubled({**status, **verdict}, memory.board)), memory


async def _look(
    questions: Mapping[str, Question], memory: Memory, status: Reply
) -> tuple[Look, Memory]:
    contacts = (await questions["contacts"]({}))["contacts"]
    peers = (await questions["peers"]({}))["peers"]
    waiting = (await questions["requests"]({}))["requests"]
    devices = (await questions["devices"]({}))["devices"]
    asked = {} if memory.newest is None else {"after": memory.newest, "also": sorted(memory.open)}
    found = await questions["messages"](asked)
    messages = found["messages"]
    objects = dict[str, Shown]()
    objects |= _peers(peers, contacts)
    objects |= _contacts(contacts, peers)
    objects |= {f"{REQUEST_PATH}/{one['id']}": _request(one) for one in waiting}
    objects |= {f"{DEVICE_PATH}/{one['key']}": _device(one) for one in devices}
    objects[ROOT_PATH] = _manager(status, devices, objects)
    is_open = {one["id"]: one["state"] not in _ENDED for one in messages}
    before_that = Board({**objects, **_messages(messages)})
    board = Board({**objects, **_messages(one for one in messages if is_open[one["id"]])})
    events = [*_message_events(messages, memory), *_request_events(waiting, memory)]
    now = Memory(
        board,
        found["newest"],
        {number for number, still in is_open.items() if still},
        {one["id"] for one in waiting},
    )
    return Look(board, before_that, tuple(events[:EVENTS_MAX])), now


def _with_trouble(status: Reply, sentence: str) -> Reply:
    """The verdict of a node whose `status` could be read, and not all that is shown beside it."""
    told = judge(Facts(store_trouble=sentence)).told()
    known = {one["code"] for one in told["problems"]}
    others = [one for one in status["problems"] if one["code"] not in known]
    return {**told, "problems": [*told["problems"], *others]}


def _troubled(status: Reply, last: Board | None) -> Board:
    """What is shown while the store cannot be read, in part or at all."""
    if last is None:  # the trouble is as old as this process
        shown = plain(judge(Facts())).objects[ROOT_PATH]
        known = {"Address": clean(status["address"]), "Endpoints": _endpoints(status)}
        last = Board({ROOT_PATH: Shown(MANAGER_INTERFACE, {**shown.properties, **known})})
    manager = Shown(
        MANAGER_INTERFACE,
        {**last.objects[ROOT_PATH].properties, **_paused(status), **_verdict(status)},
    )
    return Board({**last.objects, ROOT_PATH: manager})


def _verdict(told: Reply) -> dict[str, Any]:
    return {
        "State": told["state"],
        "Sentence": clean(told["sentence"]),
        "Health": told["health"],
        "Problems": [table(one) for one in told["problems"]],
    }


def _manager(status: Reply, devices: list[Reply], objects: Mapping[str, Shown]) -> Shown:
    online = [one.properties["Online"] for one in _of(objects, PEER_INTERFACE)]
    return Shown(
        MANAGER_INTERFACE,
        {
            "Version": __version__,
            **_verdict(status),
            "Address": clean(status["address"]),
            "Key": next((one["key"] for one in devices if one["is_this"]), ""),
            **_paused(status),
            "ParcelsUnderWay": status["parcels_waiting"] + status["parcels_held"],
            "RequestsWaiting": status["requests_waiting"],
            "ContactCount": status["contact_count"],
            "PeersOnline": sum(online),
            "PeersKnown": len(online),
            "Holders": status["holders"],
            "Endpoints": _endpoints(status),
        },
    )


def _paused(status: Reply) -> dict[str, Any]:
    return {"Paused": status["paused"], "PausedUntil": _moment(status["paused_until"])}


def _endpoints(status: Reply) -> dict[str, Typed]:
    open_doors = {
        name: status[f"{name}_port"] for name in ("smtp", "imap", "pop3") if status[f"{name}_port"]
    }
    return table({**open_doors, "user_name": status["user_name"]})


def _of(objects: Mapping[str, Shown], interface: str) -> list[Shown]:
    return [one for one in objects.values() if one.interface == interface]


def _peers(peers: Iterable[Reply], contacts: Iterable[Reply]) -> dict[str, Shown]:
    by_address = {one["address"]: one for one in contacts}
    objects = {}
    for person in peers:
        contact = by_address.get(person["address"], {})
        for node in person["nodes"]:
            link = node["link"]
            objects[f"{PEER_PATH}/{node['key']}"] = Shown(
                PEER_INTERFACE,
                {
                    "Name": clean(person["name"]),
                    "Key": node["key"],
                    "Address": clean(person["address"]),
                    "Contact": contact_path(person["address"]),
                    "Online": link is not None,
                    "Path": _path(link),
                    "RoundTripMilliseconds": 0.0
                    if link is None
                    else float(link["round_trip_milliseconds"]),
                    "SeenAt": _moment(person["seen_at"]),
                    "Trust": _trust(contact),
                    "HoldsForUs": person["holds_for_us"],
                    "WeHoldForThem": person["we_hold_for_them"],
                },
            )
    return objects


def _contacts(contacts: Iterable[Reply], peers: Iterable[Reply]) -> dict[str, Shown]:
    by_address = {one["address"]: one for one in peers}
    objects = {}
    for contact in contacts:
        person = by_address.get(contact["address"], {})
        nodes = person.get("nodes", [])
        objects[contact_path(contact["address"])] = Shown(
            CONTACT_INTERFACE,
            {
                "Name": clean(contact["name"]),
                "Address": clean(contact["address"]),
                "Fingerprint": str(parse(contact["address"]).fingerprint),
                "Online": any(one["link"] is not None for one in nodes),
                "SeenAt": _moment(contact["seen_at"]),
                "Trust": _trust(contact),
                "VerifiedAt": _moment(contact["verified_at"]),
                "Blocked": contact["blocked"],
                "HoldsForUs": person.get("holds_for_us", False),
                "WeHoldForThem": person.get("we_hold_for_them", False),
                "Peers": [f"{PEER_PATH}/{one['key']}" for one in nodes],
            },
        )
    return objects


def _request(one: Reply) -> Shown:
    return Shown(
        REQUEST_INTERFACE,
        {
            "Address": clean(one["address"]),
            "CameAt": _moment(one["came_at"]),
            "ExpiresAt": _moment(one["expires_at"]),
        },
    )


def _device(one: Reply) -> Shown:
    return Shown(
        DEVICE_INTERFACE,
        {
            "Key": one["key"],
            "IsThis": one["is_this"],
            "IsRevoked": one["is_revoked"],
            "TakesMail": one["takes_mail"],
            "SeenAt": _moment(one["seen_at"]),
            "CertifiedUntil": _moment(one["certified_until"]),
        },
    )


def _messages(messages: Iterable[Reply]) -> dict[str, Shown]:
    return {
        f"{MESSAGE_PATH}/{one['id']}": Shown(
            MESSAGE_INTERFACE,
            {
                "Letter": one["letter"],
                "Recipient": clean(one["recipient"]),
                "Size": one["size"],
                "State": one["state"],
                "Holders": one["holders"],
                "Tries": one["tries"],
                "AcceptedAt": _moment(one["accepted_at"]),
                "ExpiresAt": _moment(one["expires_at"]),
                "NextTryAt": _moment(one["next_try_at"]),
                "Reason": clean(one["reason"]),
                "ReasonParts": [table(part) for part in one["reason_parts"]],
            },
        )
        for one in messages
    }


def _message_events(messages: Iterable[Reply], memory: Memory) -> Iterable[Signal]:
    if memory.newest is None:
        return
    for one in messages:
        path = f"{MESSAGE_PATH}/{one['id']}"
        if one["id"] > memory.newest:
            yield _event("MessageQueued", path)
        if one["state"] == MessageState.DELIVERED:
            yield _event("MessageDelivered", path, table({"recipient": one["recipient"]}))
        elif one["state"] in _ENDED:
            details = table({"text_parts": one["reason_parts"]})
            yield _event("MessageFailed", path, one["state"], clean(one["reason"]), details)


def _request_events(waiting: Iterable[Reply], memory: Memory) -> Iterable[Signal]:
    if memory.requests is None:
        return
    for one in waiting:
        if one["id"] not in memory.requests:
            yield _event("ContactRequested", f"{REQUEST_PATH}/{one['id']}")


def _event(member: str, path: str, *more: str | dict[str, Typed]) -> Signal:
    signature = ours()[MANAGER_INTERFACE].signals[member]
    return Signal(ROOT_PATH, MANAGER_INTERFACE, member, signature, [path, *more])


def _trust(contact: Reply) -> str:
    gravest_first = ("revoked", "blocked", "verified")
    return next((one for one in gravest_first if contact.get(one)), "unverified")


def _path(link: Reply | None) -> str:
    if link is None:
        return Path.NONE.value
    return (Path.DIRECT if link["direct"] else Path.RELAYED).value


def _moment(at: float | None) -> int:
    """Seconds UTC as the bus has them; 0: never, or not known."""
    return 0 if at is None else max(int(at), 0)


def contact_path(address: str) -> str:
    return f"{CONTACT_PATH}/{parse(address).fingerprint}"
