"""The POP3 door: carries bytes between a loopback socket and a session, and does its errands.

Purpose: the I/O shell; what commands mean is protocol/pop3, what is kept is store/maildrop.
Invariants: only a program of the owner is greeted; everything is limited (connections, lines,
output that waits, idle time, wrong passwords); a fault in one connection is logged once and ends
that one; with a new mailbox password whoever came in with the old one has to go; whoever is cut
off, by us too, has deleted nothing; QUIT is answered after the commit.
See: RFC 1939; its section 3 wants no word before the end when a client says nothing for too long.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from socket import socket
from typing import Protocol, assert_never

from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.seams import PeerUid
from postroad.protocol import pop3 as p
from postroad.store.maildrop import Inbox, OpenLetter
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
READ_BYTES = 4 * limits.KIB


class Credentials(Protocol):
    def check(self, user: str, password: bytes) -> bool:
        """Whether this is the owner (address, or its local part) and the mailbox password."""

    @property
    def changed(self) -> Bell:
        """Rings when what was right before is not any more: whoever came in with it has to go."""


async def serve(
    sockets: Sequence[socket],
    inbox: Inbox,
    credentials: Credentials,
    peer_uid: PeerUid,
) -> None:
    """Serve the listening sockets until cancelled; then close them and every connection."""
    async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as servers:
        door = _Door(inbox, credentials, peer_uid, tasks)
        for listener in sockets:
            server = await asyncio.start_server(door.admit, sock=listener, limit=READ_BYTES)
            servers.callback(server.close)
        await asyncio.get_running_loop().create_future()  # until cancelled


class _Door:
    """Lets clients in, and has each of them attended to."""

    def __init__(
        self,
        inbox: Inbox,
        credentials: Credentials,
        peer_uid: PeerUid,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._inbox = inbox
        self._credentials = credentials
        self._peer_uid = peer_uid
        self._tasks = tasks
        self._connections = 0

    def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, server = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        if not client or not self._peer_uid.is_owner(client, server):
            log.warning("closed a connection that is not the owner's")
            writer.transport.abort()
            return
        self._connections += 1
        self._tasks.create_task(self._attend(reader, writer), name=f"pop3 client {client[1]}")

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The doorstep of one connection."""
        one = _Conversation(self._inbox, self._credentials, reader, writer)
        try:
            if self._connections > limits.DOOR_CONNECTIONS_MAX:
                one.session.bye("Too many connections; close one first.")
            with self._credentials.changed.heard_by(one.password_changed):
                await one.hold()
        except (ConnectionError, TimeoutError):
            pass  # the client is gone, or says or takes nothing
        except Exception:
            log.exception("a connection ended in an error")
            one.session.bye("Something went wrong in Postroad; its log says more.")
            writer.write(one.session.take_output())
        finally:
            self._connections -= 1
            one.close()
            writer.close()


class _Conversation:
    def __init__(
        self,
        inbox: Inbox,
        credentials: Credentials,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.session = p.Session()
        self._inbox = inbox
        self._credentials = credentials
        self._reader = reader
        self._writer = writer
        self._letter: OpenLetter | None = None
        self._failures = 0
        self._waiting: asyncio.Timeout | None = None  # for what the client says next
        self._came_in = False  # with the right password, though the session may not say so yet
        self._unwelcome = False  # that password was changed

    async def hold(self) -> None:
        """Until either side ends it; raises ConnectionError, TimeoutError."""
        session = self.session
        errand: p.Errand | None = None
        while True:
            await self._flush()
            if self._unwelcome:
                session.bye("The mailbox password was changed: log in with the new one.")
                await self._flush()
                return
            if errand is not None:
                errand = session.answer(await self._act(errand))
                if self._failures >= limits.LOGIN_FAILURES_MAX:
                    session.bye("Too many wrong passwords.")
                    errand = None  # it may be one more try
            elif session.closing:
                return
            elif octets := await self._hear():
                errand = session.receive(octets)
            elif not self._unwelcome:
                return

    def close(self) -> None:
        if self._letter is not None:
            self._letter.close()
            self._letter = None

    def password_changed(self) -> None:
        self._unwelcome = self._came_in
        if self._unwelcome and self._waiting is not None:
            self._waiting.reschedule(0.0)

    async def _hear(self) -> bytes:
        """What the client says next; empty: nothing any more, or it shall go."""
        logged_in = self.session.logged_in
        seconds = limits.POP3_IDLE_SECONDS if logged_in else limits.DOOR_LOGIN_SECONDS
        try:
            async with timeout(seconds) as self._waiting:
                return await self._reader.read(READ_BYTES)
        except TimeoutError:
            if not self._unwelcome:
                raise
            return b""
        finally:
            self._waiting = None

    async def _flush(self) -> None:
        """Hand the output over, no faster than the client takes it."""
        if octets := self.session.take_output():
            self._writer.write(octets)
            try:
                async with timeout(limits.DOOR_STALLED_SECONDS):
                    await self._writer.drain()
            except TimeoutError:
                self._writer.transport.abort()
                raise

    async def _act(self, errand: p.Errand) -> p.Answer:
        """Do what the session asks for; what a person can be told about comes back as Failed."""
        try:
            answer = await self._do(errand)
        except (TemporaryFailure, PermanentFailure) as error:
            return p.Failed(str(error))
        if isinstance(answer, p.PasswordChecked) and not answer.right:
            self._failures += 1
            log.warning("a wrong mailbox password", extra={"times": self._failures})
            await asyncio.sleep(limits.LOGIN_FAILURE_SECONDS)
        return answer

    async def _do(self, errand: p.Errand) -> p.Answer:
        match errand:
            case p.CheckPassword(user, password):
                right = self._credentials.check(user, password)
                self._came_in = self._came_in or right
                return p.PasswordChecked(right)
            case p.LookIntoMaildrop():
                return await self._inbox.look()
            case p.OpenLetter(uid):
                self.close()
                self._letter = letter = await self._inbox.open(uid)
                if letter is None:
                    return p.Gone()
                return p.LetterOpened(letter.size, letter.is_damaged)
            case p.ReadOn():
                assert self._letter is not None
                octets = await self._letter.read()
                if not octets:
                    self.close()
                return p.Piece(octets)
            case p.Remove(uids):
                return p.Removed(await self._inbox.remove(uids))
            case p.MakeRoom():
                pass  # the output was sent before this
            case _:
                assert_never(errand)
        return p.Done()
