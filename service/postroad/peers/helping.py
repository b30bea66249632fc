"""A helper's side of its conversation with the people whom its owner named.

Purpose: a helper has no owner's mail and no contacts of its own; whom it serves is decided by who
shows a secret that its owner made (`GuestBook`, which the store implements).
Invariant: a person is served by the device that signed the record which they bring.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from postroad.base.ids import Contact, PeerId
from postroad.peers.exchange import Answer, Exchange
from postroad.protocol import wire
from postroad.protocol.contacts import encode_contact
from postroad.protocol.wire_helping import SignedIn, SignIn


class GuestBook(Protocol):
    async def sign_in(self, secret: bytes | None, record: bytes, asker: PeerId) -> str | None:
        """Serve whoever is known, or shows a fresh secret; else why not, in words.

        Raises PeerMisbehaved when the record is not the asker's."""


class Helping:
    """Answers for `Links`. `where_i_am` is told to whoever signs in; `served` hears that somebody
    is served who was not, and may have come as a guest of the relay."""

    def __init__(
        self,
        guests: GuestBook,
        name: str,
        where_i_am: Callable[[], Contact],
        served: Callable[[], Awaitable[None]],
    ) -> None:
        self._guests = guests
        self._name = name
        self._where_i_am = where_i_am
        self._served = served

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        return {SignIn: self._sign_in}

    async def _sign_in(self, request: wire.Message, exchange: Exchange) -> None:
        assert isinstance(request, SignIn)
        refusal = await self._guests.sign_in(request.secret, request.record, exchange.peer)
        if refusal is not None:
            await exchange.send(wire.No.because(wire.Refusal.FORBIDDEN, refusal))
        else:
            await self._served()
            await exchange.send(SignedIn(encode_contact(self._where_i_am()), self._name))
