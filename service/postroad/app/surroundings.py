"""What `Reach` hears of the rest of the house, put together from the store."""

from collections.abc import Awaitable, Callable

from postroad.base.ids import Contact, PeerId, Relay
from postroad.base.seams import Disk
from postroad.peers.surroundings import Surroundings
from postroad.store import helpers, people
from postroad.store.database import Database, Sql
from postroad.store.places import Places


def around_reach(
    disk: Disk,
    database: Database,
    relay_port: Callable[[], int | None],
    announce: Callable[[], None],
    moved: Callable[[], Awaitable[None]],
    own_relay: Callable[[], Relay | None] = lambda: None,
) -> Surroundings:
    places = Places(disk)

    def knows(sql: Sql, peer: PeerId) -> bool:
        return people.is_served(sql, peer) or helpers.at(sql, peer) is not None

    def nodes(sql: Sql) -> list[Contact]:
        everybody = people.contacts(sql)
        return [one for person in everybody if not person.blocked for one in person.record.contacts]

    def serving(sql: Sql) -> list[Contact]:
        return [one.contact for one in helpers.helpers(sql) if not one.refusal]

    async def is_contact(peer: PeerId) -> bool:
        return await database.read(lambda sql: knows(sql, peer))

    async def contacts() -> list[Contact]:
        return await database.read(nodes)

    async def our_helpers() -> list[Contact]:
        return await database.read(serving)

    return Surroundings(
        is_contact,
        contacts,
        our_helpers,
        relay_port,
        own_relay,
        places.last,
        places.keep,
        announce,
        moved,
    )
