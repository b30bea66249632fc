"""Where peers were seen besides where their records say: on the local network, now.

Purpose: addresses to dial before those of a record, which may be old or lead through the internet.
Invariants: they come from whoever shouts on the local network, so they only ever widen a dial to a
peer that we wanted anyhow, and the link proves who answers; a few for each peer, and few peers.
"""

from dataclasses import replace

from postroad.base.ids import Contact, HostPort, PeerId

PEERS_MAX = 256
ADDRESSES_MAX = 4  # of one peer; the latest


class Sightings:
    def __init__(self) -> None:
        self._seen: dict[PeerId, tuple[HostPort, ...]] = {}

    def note(self, peer: PeerId, addresses: tuple[HostPort, ...]) -> bool:
        """This peer seems to be there; whether that is news."""
        before = self._seen.pop(peer, ())
        newest = tuple(dict.fromkeys((*addresses, *before)))[:ADDRESSES_MAX]
        if len(self._seen) >= PEERS_MAX:
            self._seen.pop(next(iter(self._seen)))
        self._seen[peer] = newest
        return not set(newest) <= set(before)

    def forget(self, peer: PeerId) -> None:
        """It has gone."""
        self._seen.pop(peer, None)

    def clear(self) -> None:
        """We are somewhere else."""
        self._seen.clear()

    def is_near(self, peer: PeerId) -> bool:
        """Whether somebody who seems to be this peer is on our local network."""
        return peer in self._seen

    def widen(self, contact: Contact) -> Contact:
        """The contact with where it was seen in front."""
        seen = self._seen.get(contact.peer, ())
        if not seen:
            return contact
        return replace(contact, addresses=tuple(dict.fromkeys((*seen, *contact.addresses))))
