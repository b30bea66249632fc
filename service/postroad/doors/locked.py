"""The doors of a node that cannot serve yet: each says why, for a while, and takes nothing.

Purpose: a mail program tries again later, and `postroad` is told what to type. The listening
sockets stay as they are for those who serve them next. A node is so while its keys are locked,
before it is set up, and while it waits for what it needs, like a folder or a port.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from socket import SHUT_WR, socket
from typing import Any

from postroad.base.errors import PostroadError
from postroad.base.seams import Arrivals, PeerUid, SocketAddress

log = logging.getLogger(__name__)
Reply = dict[str, Any]
Question = Callable[[dict[str, Any]], Awaitable[Reply]]
KEYS_LOCKED = "The keys of this node are locked. Type: postroad unlock"
WORDS = {  # by the name of the door
    "smtp": "421 4.3.2 {}\r\n",
    "imap": "* BYE [UNAVAILABLE] {}\r\n",
    "pop3": "-ERR [SYS/TEMP] {}\r\n",
}
SENTENCE_BYTES_MAX = 400  # RFC 5321 section 4.5.3.1.5: a reply line has 512
ACCEPT_PAUSE_SECONDS = 0.5  # when there is no descriptor for another connection


async def refuse(
    door: str, listening: socket, arrivals: Arrivals, sentence: str, peer_uid: PeerUid
) -> None:
    """Say this to each program of the owner's that comes to this door, until cancelled."""
    told = sentence.encode("ascii", "backslashreplace").decode()[:SENTENCE_BYTES_MAX]
    words = WORDS[door].format(told.replace("\n", " ")).encode()

    def say(connection: socket, client: SocketAddress) -> None:
        if peer_uid.is_owner(client, connection.getsockname()):
            connection.send(words)  # a fresh socket takes it at once
            connection.shutdown(SHUT_WR)

    await _each(listening, arrivals, say)


async def turn_away(listening: socket, arrivals: Arrivals) -> None:
    """End each connection without a word, until cancelled: nobody knows what it came for."""
    await _each(listening, arrivals, lambda connection, client: None)


async def _each(
    listening: socket, arrivals: Arrivals, say: Callable[[socket, SocketAddress], None]
) -> None:
    while True:
        try:
            connection, client = await arrivals(listening)
        except OSError as error:
            log.warning("a connection could not be taken: %s", error)
            await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
            continue
        with connection:
            try:
                say(connection, client)
            except OSError as error:
                log.info("a connection ended: %s", error)


class RefusedQuestions(dict[str, Question]):
    """What may be asked of such a node; whatever else is asked is refused with the reason."""

    def __init__(self, known: dict[str, Question], why: Callable[[], PostroadError]) -> None:
        super().__init__(known)
        self._why = why

    def __missing__(self, name: str) -> Question:
        async def refused(_: dict[str, Any]) -> Reply:
            raise self._why()

        return refused
