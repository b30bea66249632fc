"""The doors of a node whose keys are locked: each says so, for a while, and takes nothing.

Purpose: a mail program tries again later, and `postroad` is told what to type. The listening
sockets stay as they are for those who serve them next.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from socket import SHUT_WR, socket
from typing import Any

from postroad.base.errors import Locked
from postroad.base.seams import PeerUid

log = logging.getLogger(__name__)
Reply = dict[str, Any]
Request = Callable[[dict[str, Any]], Awaitable[Reply]]
SMTP = b"421 4.3.2 The keys of this node are locked. Type: postroad unlock\r\n"
IMAP = b"* BYE [UNAVAILABLE] The keys of this node are locked. Type: postroad unlock\r\n"
ACCEPT_PAUSE_SECONDS = 0.5  # when there is no descriptor for another connection


async def refuse(listening: socket, words: bytes, peer_uid: PeerUid) -> None:
    """Say these words to each program of the owner's that comes, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, client = await loop.sock_accept(listening)
        except OSError as error:
            log.warning("a connection could not be taken: %s", error)
            await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
            continue
        with connection:
            try:
                if peer_uid.is_owner(client, connection.getsockname()):
                    connection.send(words)  # a fresh socket takes it at once
                    connection.shutdown(SHUT_WR)
            except OSError as error:
                log.info("a connection ended: %s", error)


class LockedRequests(dict[str, Request]):
    """What may be asked of a locked node; whatever else is asked hears that it is locked."""

    def __init__(self, known: dict[str, Request], why: Callable[[], str]) -> None:
        super().__init__(known)
        self._why = why

    def __missing__(self, name: str) -> Request:
        async def refused(_: dict[str, Any]) -> Reply:
            raise Locked(self._why())

        return refused
