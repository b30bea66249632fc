"""What the owner may ask of the network: which nodes there are, how far, and what the ways mean."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from postroad import phrases
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure, Unknown
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.seams import Path
from postroad.phrases import phrase
from postroad.protocol.dialable import is_public
from postroad.protocol.netcheck import Facts, State, Way, findings
from postroad.protocol.reach import Picture
from postroad.store import held, helpers, people, rented
from postroad.store.database import Database, Sql
from postroad.store.people import Person
from postroad.timeouts import timeout

Reply = dict[str, Any]


class Reach(Protocol):
    """`peers.reach.Reach`."""

    @property
    def own(self) -> tuple[HostPort, ...]: ...

    @property
    def relay(self) -> Relay | None: ...

    @property
    def relay_seconds(self) -> float | None: ...

    @property
    def clock_error(self) -> float | None: ...

    def picture(self) -> Picture: ...

    async def check(self) -> tuple[int, int]: ...

    async def ping(self, contact: Contact) -> tuple[Path, float]: ...

    def why_not_met(self, them: Sequence[Contact]) -> str: ...


class NetworkDesk:
    """`questions` are for `doors.control`. `path`: how packets go to a peer now, if they do;
    `joined`: returns when the node is on the network."""

    def __init__(
        self,
        database: Database,
        reach: Reach,
        me: PeerId,
        path: Callable[[PeerId], Path | None],
        relays: bool,
        is_paused: Callable[[], bool],
        joined: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._reach = reach
        self._me = me
        self._path = path
        self._relays = relays
        self._is_paused = is_paused
        self._joined = joined
        self.questions = {
            "peers": self._peers,
            "ping": self._ping,
            "netcheck": self._netcheck,
        }

    async def _peers(self, _: dict[str, Any]) -> Reply:
        def work(sql: Sql) -> list[tuple[Person, bool, bool]]:
            ours = {drop.fingerprint for drop in rented.my_drops(sql) if drop.agreed}
            return [
                (
                    person,
                    person.fingerprint in ours,
                    held.newest_drop_of(sql, person.fingerprint) is not None,
                )
                for person in people.contacts(sql)
            ]

        found = await self._database.read(work)
        return {
            "peers": [
                {
                    "name": person.name,
                    "address": person.address,
                    "seen_at": person.seen_at,
                    "holds_for_us": holds,
                    "we_hold_for_them": held_here,
                    "nodes": [self._node(contact) for contact in person.record.contacts],
                }
                for person, holds, held_here in found
            ]
        }

    def _node(self, contact: Contact) -> Reply:
        path = self._path(contact.peer)
        return {
            "key": contact.peer.hex(),
            "addresses": [str(at) for at in contact.addresses],
            "relay": None if contact.relay is None else str(contact.relay.address),
            "link": None if path is None else _path_told(path),
        }

    async def wait_until_joined(self) -> None:
        """Give a node that just begins some seconds; TemporaryFailure when they do not do."""
        try:
            async with timeout(limits.JOIN_SECONDS_MAX):
                await self._joined()
        except TimeoutError:
            raise TemporaryFailure(
                "Your node is not paused, but not on the network yet; why stands in its log. It "
                "goes on trying."
            ) from None

    async def _ping(self, request: dict[str, Any]) -> Reply:
        self._expect_no_pause()
        await self.wait_until_joined()
        person, them = await self._database.read(lambda sql: _whom(sql, request))
        reason = "It has no address."
        try:
            async with timeout(limits.CHECK_SECONDS_MAX):
                for contact in them:
                    try:
                        path, seconds = await self._reach.ping(contact)
                    except (TemporaryFailure, PeerMisbehaved) as error:
                        reason = str(error)
                        continue
                    return {
                        "name": person.name,
                        "milliseconds": round(seconds * 1000, 1),
                        **_path_told(path),
                    }
        except TimeoutError:
            reason = "It did not answer in time."
        why = self._reach.why_not_met(them) or "Most likely it is off."
        raise TemporaryFailure(f"{person.name}'s node cannot be reached: {reason} {why}")

    async def _netcheck(self, _: dict[str, Any]) -> Reply:
        self._expect_no_pause()
        contacts, reached = await self._reach.check()
        served = await self._database.read(helpers.helpers)
        facts = self._facts(contacts, reached, len(served))
        picture = facts.picture
        return {
            "own": [str(at) for at in facts.own],
            "outside": [
                {"address": str(one.address), "sure": one.is_sure, "open": one.is_open}
                for one in picture.outside
            ],
            "mapped_by_router": [str(at) for at in _mapped(facts.own)],
            "nat": {"ipv4": picture.nat4.value, "ipv6": picture.nat6.value},
            "udp": picture.udp,
            "relay": None if facts.relay is None else str(facts.relay.address),
            "relay_milliseconds": facts.relay_seconds and round(facts.relay_seconds * 1000, 1),
            "relay_is_our_own": facts.is_own_relay,
            "our_relay_is_open": picture.relay_is_open,
            "nodes": contacts,
            "nodes_answering": reached,
            "clock_error_seconds": facts.clock_error,
            "findings": [_told(one) for one in findings(facts)],
        }

    def bad_ways(self, contacts: int, helpers: int) -> list[Way]:
        """What is bad about the ways to us, as far as it is known without asking anybody."""
        facts = self._facts(contacts, contacts, helpers)
        return [one for one in findings(facts) if one.state is State.BAD]

    def why_not_met(self, person: Person) -> str:
        return self._reach.why_not_met(person.record.contacts)

    def _facts(self, contacts: int, reached: int, served: int) -> Facts:
        relay = self._reach.relay
        return Facts(
            self._reach.own,
            self._reach.picture(),
            relay,
            self._reach.relay_seconds,
            relay is not None and relay.peer == self._me,
            self._relays,
            served,
            contacts,
            reached,
            self._reach.clock_error,
        )

    def _expect_no_pause(self) -> None:
        if self._is_paused():
            raise TemporaryFailure(phrase("Your node is paused. Type first: postroad resume"))


def _whom(sql: Sql, request: dict[str, Any]) -> tuple[Person, Sequence[Contact]]:
    """The nodes to try: all of the contact called `name`, or the one with the key `peer`."""
    peer = request.get("peer")
    if peer is None:
        person = people.called(sql, str(request.get("name", "")))
        return person, person.record.contacts
    for person in people.contacts(sql):
        found = [one for one in person.record.contacts if one.peer.hex() == peer]
        if found:
            return person, found
    raise Unknown(phrase("No node of a contact is called that. See: postroad peers"))


def _path_told(path: Path) -> Reply:
    family = None
    if path.address is not None:
        family = f"IPv{path.address.ip.version}"
    return {
        "direct": path.is_direct,
        "at": None if path.address is None else str(path.address),
        "family": family,
        "round_trip_milliseconds": round(path.round_trip_seconds * 1000, 1),
    }


def _mapped(own: Sequence[HostPort]) -> list[HostPort]:
    """A public IPv4 address beside a private one was opened for us by the router (UPnP, PCP)."""
    four = [at for at in own if at.ip.version == 4]
    public = [at for at in four if is_public(at)]
    return public if len(public) < len(four) else []


def _told(one: Way) -> Reply:
    return {
        "about": one.about,
        "state": one.state.value,
        "summary": one.summary,
        "next_step": one.next_step,
        "summary_parts": phrases.told(one.summary),
        "next_step_parts": phrases.told(one.next_step),
    }
