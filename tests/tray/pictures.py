"""What a service may tell, drawn by hand: for pages, menus, icons and notifications."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from postroad import contract
from postroad.contract import Health, MessageState, Path, Severity, State
from postroad_tray.facts import (
    Contact,
    Endpoints,
    Link,
    Message,
    Node,
    Peer,
    Picture,
    Problem,
    Request,
    Trust,
)

NOW = 1_795_708_800  # 26 November 2026, 16:00 UTC
MINUTE, HOUR, DAY = 60, 3600, 86400
DAYS = 90  # of statistics
NAMES = (
    "Anna", "Bora", "Carla", "Deniz", "Emil", "Frieda", "Gustav", "Hana", "Ines", "Jonas",
)  # fmt: skip
REASONS = (
    "Nobody takes it in at {name}'s: their computer is off.",
    "{name}'s node did not answer in time.",
    "The network of this computer is gone.",
    "",
)
SLOW_NETWORK = Problem(
    "few-holders",
    Severity.INFO,
    "2 holders of 5 keep letters for you while you are away.",
    "Invite more people (postroad invite): 3 holders are enough for every day.",
)
DOOR_SHUT = Problem(
    "door-shut",
    Severity.BROKEN,
    "The SMTP door is shut: your mail program cannot send. Port 10587 is taken by another program.",
    "Choose another port and start again: postroad setup",
)
LATE = Problem(
    "late-held",
    Severity.ATTENTION,
    "12 letters of yours wait at holders for more than a day: their recipients are away.",
    "Nothing is lost. Look which: postroad queue",
)


def key(number: int) -> str:
    return f"{number:064x}"


def fingerprint(number: int) -> str:
    digest = hashlib.sha256(str(number).encode()).digest()
    return base64.b32encode(digest)[:32].decode().lower()


def name(number: int) -> str:
    return NAMES[number % len(NAMES)] + (f" {number}" if number >= len(NAMES) else "")


def address(number: int) -> str:
    return f"{name(number).lower().replace(' ', '')}.{fingerprint(number)}@postroad.alt"


OWN_ADDRESS = "anna.k7q2m5tx4wz6c5v3k7q2m5tx4wz6c5v3@postroad.alt"


def node(**told: object) -> Node:
    return replace(
        Node(
            version="0.1.0",
            state=State.ONLINE,
            sentence="Your node is online: letters come and go.",
            address=OWN_ADDRESS,
            key=key(999),
            endpoints=Endpoints(smtp=10587, imap=10143, pop3=10110, user_name=OWN_ADDRESS),
        ),
        **told,  # type: ignore[arg-type]
    )


def peer(number: int) -> Peer:
    online = number % 4 != 3
    path = (Path.DIRECT, Path.DIRECT, Path.RELAYED, Path.NONE)[number % 4]
    return Peer(
        f"{contract.PEER_PATH}/{key(number)}",
        name=name(number),
        key=key(number),
        address=address(number),
        contact=f"{contract.CONTACT_PATH}/{fingerprint(number)}",
        online=online,
        path=path,
        round_trip_milliseconds=(3.4 + 17.0 * number) if online else 0.0,
        seen_at=NOW - (2 if online else (number + 1) * 5 * HOUR),
        trust=Trust.VERIFIED if number % 3 == 0 else Trust.UNVERIFIED,
        holds_for_us=number % 2 == 0,
        we_hold_for_them=number % 3 != 1,
    )


def contact(number: int) -> Contact:
    of = peer(number)
    return Contact(
        of.contact,
        name=of.name,
        address=of.address,
        fingerprint=fingerprint(number),
        online=of.online,
        seen_at=of.seen_at,
        trust=of.trust,
        verified_at=NOW - 30 * DAY if of.trust is Trust.VERIFIED else 0,
        holds_for_us=of.holds_for_us,
        we_hold_for_them=of.we_hold_for_them,
        peers=(of.object_path,),
    )


def letter(number: int) -> Message:
    state = (MessageState.WAITING, MessageState.HELD, MessageState.LATE)[number % 3]
    age = (4 * MINUTE, 3 * HOUR, 2 * DAY)[number % 3] + number * 31
    return Message(
        f"{contract.MESSAGE_PATH}/{number + 1}",
        letter=f"PR{number:06d}",
        recipient=address(number % 50),
        size=2048 + 997 * number,
        state=state,
        holders=0 if state is MessageState.WAITING else 1 + number % 3,
        tries=1 + number % 9,
        accepted_at=NOW - age,
        expires_at=NOW + 30 * DAY - age,
        next_try_at=NOW + 30 + 7 * number % HOUR,
        reason=REASONS[number % len(REASONS)].format(name=name(number % 50)),
    )


def request(number: int) -> Request:
    return Request(
        f"{contract.REQUEST_PATH}/{number + 1}",
        address=f"stranger{number}.z7y6x7w6v5u4t3s2z7y6x7w6v5u4t3s2@postroad.alt",
        came_at=NOW - (number + 1) * HOUR,
        expires_at=NOW + 29 * DAY,
    )


def with_people(
    people: int, letters: int = 0, requests: int = 0, link: Link = Link.THERE, **told: object
) -> Picture:
    peers = tuple(map(peer, range(people)))
    counted: dict[str, object] = {
        "contact_count": people,
        "peers_known": people,
        "peers_online": sum(one.online for one in peers),
        "holders": sum(one.holds_for_us for one in peers),
        "parcels_under_way": letters,
        "requests_waiting": requests,
    }
    return Picture(
        link,
        node(**{**counted, **told}),
        peers=peers,
        messages=tuple(map(letter, range(letters))),
        contacts=tuple(map(contact, range(people))),
        requests=tuple(map(request, range(requests))),
    )


def healthy() -> Picture:
    """Seven people, two letters on their way, all well."""
    return with_people(7, letters=2, problems=(SLOW_NETWORK,))


def empty() -> Picture:
    """Set up a minute ago: nobody is known yet."""
    return with_people(0)


def crowded() -> Picture:
    """50 peers, 1,000 letters on their way."""
    return with_people(
        50, letters=1000, requests=12, state=State.DEGRADED, health=Health.ATTENTION,
        sentence="Your node is running, but not all is as it should be.", problems=(LATE,),
    )  # fmt: skip


def numbers() -> dict[str, Any]:
    """What GetStatistics answers where so many people write so much, as the service tells it."""
    today = datetime.fromtimestamp(NOW, UTC).date()
    days = []
    for number in range(DAYS):
        times = {"Letters": 20, "Median": 0.4 + number % 7, "Percentile95": 7200.0 + number}
        day = (today - timedelta(days=number)).isoformat()
        days.append(
            {"Day": day, "Accepted": 24, "Delivered": 20, "UnderWay": 2, "Late": 1, "Failed": 1}
            | {"SecondsToReceipt": times}
        )
    hours = [float(hour % 3) for hour in range(24)]
    people = [
        {"Name": name(number), "Seen": hours, "Missed": [2.0 - one for one in hours]}
        for number in range(50)
    ]
    total = {"Accepted": 24 * DAYS, "Delivered": 20 * DAYS, "Failed": DAYS, "Late": DAYS}
    return {
        **total,
        "UnderWay": 1000,
        "SecondsToReceipt": {"Letters": 20 * DAYS, "Median": 3.0, "Percentile95": 7200.0},
        "ByDay": days,
        "IncomingByDay": [{"Day": one["Day"], "FromContacts": 6} for one in days],
        "Outages": {"HoldersFailed": 40, "Letters": 60, "Survived": 60, "SlowestSeconds": 9.0},
        "HoursByContact": people,
    }


def trouble() -> Picture:
    """A door is shut, letters are late, somebody unknown has written."""
    return with_people(
        7, letters=9, requests=2, state=State.DEGRADED, health=Health.BROKEN,
        sentence="Your node is running, but not all is as it should be.",
        problems=(DOOR_SHUT, LATE, SLOW_NETWORK),
        endpoints=Endpoints(imap=10143, user_name=OWN_ADDRESS),
    )  # fmt: skip


def offline() -> Picture:
    known = with_people(
        7, letters=3, state=State.OFFLINE, health=Health.ATTENTION, peers_online=0,
        sentence="Your node is offline: letters wait until it reaches other nodes.",
        problems=(
            Problem(
                "offline", Severity.ATTENTION, "No other node answers now; 7 were tried.",
                "See: postroad netcheck",
            ),
        ),
    )  # fmt: skip
    away = tuple(
        replace(one, online=False, path=Path.NONE, round_trip_milliseconds=0.0)
        for one in known.peers
    )
    return replace(known, peers=away)


def paused(until: int = NOW + HOUR) -> Picture:
    return with_people(
        7, letters=2, state=State.PAUSED, paused=True, paused_until=until,
        sentence="Your node is paused: no letter comes or goes.",
    )  # fmt: skip


def not_set_up() -> Picture:
    return Picture(
        Link.THERE,
        Node(
            version="0.1.0", state=State.SETUP_NEEDED, health=Health.ATTENTION,
            sentence="Postroad is not set up yet: you have no address.",
        ),
    )  # fmt: skip


def locked() -> Picture:
    return Picture(
        Link.THERE,
        Node(
            version="0.1.0", state=State.LOCKED, health=Health.ATTENTION,
            sentence="Your node is locked: its keys wait for you.",
            problems=(
                Problem(
                    "locked", Severity.ATTENTION,
                    "No letter comes or goes until your keys are open.",
                    "Open them: postroad unlock",
                ),
            ),
        ),
    )  # fmt: skip


def off() -> Picture:
    """No service, and none seen since the tray began."""
    return Picture(Link.ABSENT)


def no_bus() -> Picture:
    return Picture(Link.NO_BUS)


def silent() -> Picture:
    """It was well, and has stopped to answer."""
    return replace(healthy(), link=Link.SILENT)


# As facts.py lets them through: plain, but chosen by somebody who means no good.
MARKUP = '<a href="file:///etc/passwd"><b>Your &lt;bank&gt;</b></a> &Quit <img src=http://x/y.png>'
LONG = "W" * 199 + "…"


def hostile() -> Picture:
    """Names, reasons and sentences that look like markup, mnemonics and paths, or are very long."""
    known = with_people(3, letters=3, requests=1)
    bad = Problem("<b>", Severity.BROKEN, MARKUP, f"Type: {MARKUP}")
    return replace(
        known,
        node=replace(
            known.node,
            sentence=MARKUP,
            state=State.DEGRADED,
            health=Health.BROKEN,
            problems=(bad, replace(bad, summary=LONG, next_step=LONG)),
            endpoints=replace(known.node.endpoints, user_name=MARKUP),
        ),
        peers=(
            replace(known.peers[0], name=MARKUP, address=MARKUP),
            replace(known.peers[1], name=LONG, address=LONG),
            replace(known.peers[2], name="", address="", round_trip_milliseconds=1e300),
        ),
        messages=tuple(
            replace(one, recipient=text, reason=text, next_try_at=2**53)
            for one, text in zip(known.messages, (MARKUP, LONG, ""), strict=True)
        ),
        contacts=tuple(replace(one, name=MARKUP, address=LONG) for one in known.contacts),
        requests=tuple(replace(one, address=MARKUP) for one in known.requests),
    )


ALL = {
    "healthy": healthy, "empty": empty, "crowded": crowded, "trouble": trouble,
    "offline": offline, "paused": paused, "not-set-up": not_set_up, "locked": locked, "off": off,
    "no-bus": no_bus, "silent": silent, "hostile": hostile,
}  # fmt: skip
