"""What `Reach` hears of the rest of the house, put together from the store."""

from collections.abc import Awaitable, Callable

from postroad.base.ids import Contact, PeerId
from postroad.base.seams import Disk
from postroad.peers.reach import Surroundings
from postroad.store import helpers, people
from postroad.store.database import Database, Sql
from postroad.store.places import Places


def around_reach(
    disk: Disk,
    database: Database,
    relay_port: Callable[[], int | None],
    announce: Callable[[], None],
    moved: Callable[[], Awaitable[None]],
) -> Surroundings:
    places = Places(disk)

    def knows(sql: Sql, peer: PeerId) -> bool:
        person = people.at_device(sql, peer)
        is_contact = person is not None and not person.blocked
        return is_contact or any(peer == helper.peer for helper in helpers.helpers(sql))

    def nodes(sql: Sql) -> list[Contact]:
        """Helpers first: they are there for this."""
        found = [helper.contact for helper in helpers.helpers(sql) if not helper.refusal]
        for person in people.contacts(sql):
            if not person.blocked:
                found += person.record.contacts
        return found

    async def is_contact(peer: PeerId) -> bool:
        return await database.read(lambda sql: knows(sql, peer))

    async def contacts() -> list[Contact]:
        return await database.read(nodes)

    return Surroundings(is_contact, contacts, relay_port, places.last, places.keep, announce, moved)
