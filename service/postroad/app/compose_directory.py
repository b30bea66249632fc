"""Build the node's part in the directory: a piece of `compose` that a helper shares."""

from collections.abc import Awaitable, Callable, Sequence

from postroad.base.ids import Contact
from postroad.base.seams import Machine, SureClock
from postroad.base.tlv import encode
from postroad.delivery.herald import OnSeen, Sighting
from postroad.delivery.renter import Renter
from postroad.peers.directory.service import Directory
from postroad.peers.gate import Gate
from postroad.peers.link import Links
from postroad.store import changes, people
from postroad.store.database import Database
from postroad.store.directory import DirectoryShelf, acquaintances


def build_directory(
    machine: Machine,
    database: Database,
    links: Links,
    endpoint: Gate,
    clock: SureClock,
    whereabouts: Callable[[], Contact],
    own_records: Callable[[], Awaitable[Sequence[bytes]]],
    *,
    dial_private: bool,
    takes_part: bool = True,
) -> tuple[Directory, OnSeen]:
    """The directory; and who tells it of contacts' nodes that are linked."""
    directory = Directory(
        endpoint.me,
        links,
        DirectoryShelf(database),
        clock,
        machine.entropy,
        whereabouts,
        lambda: database.read(lambda sql: acquaintances(sql, private=dial_private)),
        own_records,
        private=dial_private,
        takes_part=takes_part,
    )

    async def peer_seen(seen: Sighting) -> None:
        person = await database.read(lambda sql: people.at_device(sql, seen.peer))
        for contact in () if person is None else person.record.contacts:
            if contact.peer == seen.peer:
                directory.met(contact)

    return directory, peer_seen


def directory_of(
    renter: Renter,
    machine: Machine,
    database: Database,
    links: Links,
    endpoint: Gate,
    clock: SureClock,
    whereabouts: Callable[[], Contact],
    before_publishing: Callable[[], Awaitable[None]],
    *,
    dial_private: bool,
    takes_part: bool,
) -> tuple[Directory, OnSeen]:
    """The same for a person's node, which publishes the record that the renter signs."""

    async def own_records() -> list[bytes]:
        await before_publishing()
        record = encode(await renter.record())
        kept = await database.read(lambda sql: changes.to_publish(sql, machine.clock.now()))
        return [record, *kept]

    directory, peer_seen = build_directory(
        machine,
        database,
        links,
        endpoint,
        clock,
        whereabouts,
        own_records,
        dial_private=dial_private,
        takes_part=takes_part,
    )
    renter.on_new_record = directory.record_changed
    return directory, peer_seen
