"""Build the node's part in the directory: a piece of `compose` of its own, for its length."""

from postroad.base.ids import Contact
from postroad.base.seams import Machine
from postroad.base.tlv import encode
from postroad.delivery.herald import OnSeen, Sighting
from postroad.delivery.renter import Renter
from postroad.peers.directory.service import Directory
from postroad.peers.gate import Gate
from postroad.peers.link import Links
from postroad.store import people
from postroad.store.database import Database
from postroad.store.directory import DirectoryShelf, acquaintances


def build_directory(
    machine: Machine,
    database: Database,
    links: Links,
    endpoint: Gate,
    renter: Renter,
    *,
    dial_private: bool,
) -> tuple[Directory, OnSeen]:
    """The directory, which publishes what the renter signs; and who tells it of contacts' nodes."""

    async def own_records() -> list[bytes]:
        return [encode(await renter.record())]

    directory = Directory(
        endpoint.me,
        links,
        DirectoryShelf(database),
        machine.clock,
        machine.entropy,
        lambda: Contact(endpoint.me, endpoint.addresses(), endpoint.home_relay()),
        lambda: database.read(acquaintances),
        own_records,
        private=dial_private,
    )
    renter.on_new_record = directory.record_changed

    async def peer_seen(seen: Sighting) -> None:
        person = await database.read(lambda sql: people.at_device(sql, seen.peer))
        for contact in () if person is None else person.record.contacts:
            if contact.peer == seen.peer:
                directory.met(contact)

    return directory, peer_seen
