"""Where the node was last, and how it was reached there: it outlasts a restart.

Kept in a file of its own in the data folder. It only spares others a change of our record that is
none, so one that cannot be read, or not be written, counts as nothing.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import DiskFull, PeerMisbehaved
from postroad.base.ids import Contact, HostPort
from postroad.base.seams import Disk
from postroad.base.tlv import decode, encode, octets, several
from postroad.protocol.contacts import (
    CONTACT_BYTES_MAX,
    CONTACT_BYTES_MIN,
    decode_contact,
    encode_contact,
)
from postroad.protocol.wire_reach import write_address

log = logging.getLogger(__name__)
FILE_NAME = "place"
ADDRESSES_MAX = 32


@dataclass(frozen=True, slots=True)
class _Place:
    own: tuple[bytes, ...] = several(octets(1, 6, 18), ADDRESSES_MAX)  # in sorted order
    contact: bytes = octets(2, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX)


class Places:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def last(self, own: tuple[HostPort, ...]) -> Contact | None:
        """What others were told when this machine had just these addresses, if that was last."""
        try:
            with self._disk.open(FILE_NAME) as file:
                place = decode(_Place, file.read(64 * limits.KIB))
                return decode_contact(place.contact) if place.own == _written(own) else None
        except FileNotFoundError:
            return None
        except (OSError, PeerMisbehaved) as error:
            log.warning("where the node was last cannot be read: %s", error)
            return None

    async def keep(self, own: tuple[HostPort, ...], contact: Contact) -> None:
        written = encode(_Place(_written(own), encode_contact(contact)))
        with suppress(OSError, DiskFull):
            await self._disk.run(lambda: self._disk.write(FILE_NAME, written))


def _written(own: tuple[HostPort, ...]) -> tuple[bytes, ...]:
    return tuple(sorted(map(write_address, own)))[:ADDRESSES_MAX]
