"""The IMAP door: carries bytes between a loopback socket and a session, and acts on its requests.

Purpose: the I/O shell; what commands mean is protocol/imap, what is remembered is store/mailboxes.
Invariants: only a program of the owner is greeted; everything is limited (connections, input that
waits, output that waits, idle time, wrong passwords); with a new mailbox password whoever came in
with the old one has to go; a fault in one connection is logged once and ends that one, without a
word of its inside to the client; OK is sent only after the commit.
See: RFC 3501, RFC 9051. There is no STARTTLS: the socket is on loopback.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from socket import IPPROTO_TCP, TCP_NODELAY, TCP_QUICKACK, socket
from typing import Protocol, assert_never

from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure
from postroad.base.seams import PeerUid
from postroad.protocol.imap import events as e
from postroad.protocol.imap.session import Session
from postroad.store.mailboxes import Mailboxes, MailboxExists, MailboxGone, NoSuchMailbox
from postroad.timeouts import timeout

log = logging.getLogger(__name__)


class Credentials(Protocol):
    def check(self, user: str, password: bytes) -> bool:
        """Whether this is the owner (address, or its local part) and the mailbox password."""

    @property
    def changed(self) -> Bell:
        """Rings when what was right before is not any more: whoever came in with it has to go."""


async def serve(
    sockets: Sequence[socket],
    mailboxes: Mailboxes,
    credentials: Credentials,
    peer_uid: PeerUid,
) -> None:
    """Serve the listening sockets until cancelled; then each client is told BYE."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as servers:
        door = _Door(mailboxes, credentials, peer_uid, tasks)
        for listener in sockets:
            server = await loop.create_server(lambda: _Connection(door), sock=listener)
            servers.callback(server.close)
        await loop.create_future()  # until cancelled


# Not LookForChanges: what was changed asks it, too, before its tagged response.
_ONLY_READS = (e.LoadRows, e.MakeRoom)


class _Door:
    """What all connections share."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        credentials: Credentials,
        peer_uid: PeerUid,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.mailboxes = mailboxes
        self.credentials = credentials
        self.peer_uid = peer_uid
        self.tasks = tasks
        self.connections = 0


class _HungUp(Exception):
    """The client is gone, or does not take what it asked for."""


class _Connection(asyncio.Protocol):
    """One client: the callbacks collect, the task works."""

    def __init__(self, door: _Door) -> None:
        self._door = door
        self._session = Session()
        self._input = bytearray()
        self._ended = False  # no more input will come
        self._news = False
        self._wake = asyncio.Event()  # there is input, an end, or news
        self._writable = asyncio.Event()
        self._writable.set()
        self._failures = 0
        self._watched: int | None = None
        self._unwatch: Callable[[], None] = lambda: None

    # Callbacks ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not client or not self._door.peer_uid.is_owner(client, server):
            log.warning("closed a connection that is not the owner's")
            transport.abort()
            return
        self._socket: socket = transport.get_extra_info("socket")
        # asyncio does this only for sockets that it made itself; without it answers wait 40 ms.
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._door.connections += 1
        self._door.tasks.create_task(self._live(), name=f"imap client {client[1]}")

    def data_received(self, octets: bytes) -> None:
        self._input += octets
        if len(self._input) > limits.IMAP_INPUT_BYTES_MAX:
            self._transport.pause_reading()
        self._wake.set()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake.set()
        return True  # we close, when what was asked for is done

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._wake.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _mailbox_changed(self) -> None:
        self._news = True
        self._wake.set()

    def _password_changed(self) -> None:
        if self._session.logged_in:
            changed = "The mailbox password was changed: log in with the new one."
            self._session.last_word = changed
            self._wake.set()

    # The one loop ---------------------------------------------------------------------------------

    async def _live(self) -> None:
        """The doorstep of one connection."""
        try:
            if self._door.connections > limits.DOOR_CONNECTIONS_MAX:
                self._session.bye("Too many connections; close one first.")
            with self._door.credentials.changed.heard_by(self._password_changed):
                await self._converse()
        except _HungUp:
            pass
        except asyncio.CancelledError:
            self._say_goodbye("Postroad is stopping.")
            raise
        except Exception:
            log.exception("a connection ended in an error")
            self._say_goodbye("Something went wrong in Postroad; its log says more.")
        finally:
            self._door.connections -= 1
            self._unwatch()
            self._transport.close()

    async def _converse(self) -> None:
        session = self._session
        request: e.Request | None = None
        while True:
            await self._flush()
            if session.closing:
                return
            if self._news:  # before the input: what is asked after a change must show it
                request = self._take_news() or request
            # What is being changed is answered first: else a program would do it once more.
            if session.last_word and (request is None or isinstance(request, _ONLY_READS)):
                session.bye(session.last_word)
            elif request is not None:
                answer = await self._act(request)
                if self._news:  # our own change, too: it is told before the tagged response
                    self._take_news()
                request = session.answer(answer)
                if self._failures >= limits.LOGIN_FAILURES_MAX:
                    session.bye("Too many wrong passwords.")
            elif self._input:
                request = session.receive(self._take_input())
            elif self._ended:
                return
            else:
                await self._wait()
            self._watch()

    def _take_news(self) -> e.Request | None:
        self._news = False
        return self._session.news()

    def _take_input(self) -> bytes:
        """A piece at a time: one client with many small commands must not hold up the others."""
        octets = bytes(self._input[: 64 * limits.KIB])
        del self._input[: len(octets)]
        if len(self._input) < limits.IMAP_INPUT_BYTES_MAX and not self._transport.is_closing():
            self._transport.resume_reading()
        return octets

    async def _wait(self) -> None:
        idle = limits.DOOR_IDLE_SECONDS
        if not self._session.logged_in:
            idle = limits.DOOR_LOGIN_SECONDS
        # A client that sends a literal and its line end apart may wait for our acknowledgement.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
        self._wake.clear()
        try:
            async with timeout(idle):
                await self._wake.wait()
        except TimeoutError:
            self._session.bye("Nothing was said for too long.")

    async def _flush(self) -> None:
        """Hand the output over in pieces, no faster than the client takes them."""
        while octets := self._session.take_output():
            self._transport.write(octets)
            if not self._writable.is_set():
                try:
                    async with timeout(limits.DOOR_STALLED_SECONDS):
                        await self._writable.wait()
                except TimeoutError as error:
                    self._transport.abort()
                    raise _HungUp from error
            if self._transport.is_closing():
                raise _HungUp

    def _say_goodbye(self, sentence: str) -> None:
        """Without waiting: what the client does not take now is lost with the connection."""
        self._session.bye(sentence)
        while octets := self._session.take_output():
            self._transport.write(octets)

    def _watch(self) -> None:
        if self._session.watching != self._watched:
            self._unwatch()
            self._watched = self._session.watching
            self._unwatch = lambda: None
            if self._watched is not None:
                self._unwatch = self._door.mailboxes.watch(self._watched, self._mailbox_changed)

    async def _act(self, request: e.Request) -> e.Answer:
        if isinstance(request, e.MakeRoom):
            await self._flush()
            return e.Done()
        answer = await act(request, self._door.mailboxes, self._door.credentials)
        if isinstance(answer, e.PasswordChecked) and not answer.right:
            self._failures += 1
            log.warning("a wrong mailbox password", extra={"times": self._failures})
            await asyncio.sleep(limits.LOGIN_FAILURE_SECONDS)
        return answer


# Acting -------------------------------------------------------------------------------------------


async def act(request: e.Request, mailboxes: Mailboxes, credentials: Credentials) -> e.Answer:
    """Do what a session asks for; what a person can be told about comes back as Failed."""
    try:
        return await _do(request, mailboxes, credentials)
    except NoSuchMailbox as error:
        target = isinstance(request, e.AppendLetter | e.CopyMessages)
        return e.Failed(str(error), "TRYCREATE" if target else "NONEXISTENT")
    except MailboxExists as error:
        return e.Failed(str(error), "ALREADYEXISTS")
    except MailboxGone:
        return e.Gone()
    except DiskFull as error:
        return e.Failed(str(error), "OVERQUOTA")
    except TemporaryFailure as error:
        return e.Failed(str(error), "UNAVAILABLE")
    except PermanentFailure as error:
        return e.Failed(str(error), "CANNOT")


async def _do(request: e.Request, mailboxes: Mailboxes, credentials: Credentials) -> e.Answer:
    match request:
        case e.MakeRoom():
            pass
        case e.CheckPassword(user, password):
            return e.PasswordChecked(credentials.check(user, password))
        case e.ListMailboxes():
            return e.Listing(await mailboxes.list())
        case e.OpenMailbox(name, read_only):
            return await mailboxes.open(name, claim=not read_only)
        case e.CreateMailbox(name):
            await mailboxes.create(name)
        case e.DeleteMailbox(name):
            await mailboxes.delete(name)
        case e.RenameMailbox(name, new_name):
            await mailboxes.rename(name, new_name)
        case e.SubscribeMailbox(name, subscribed):
            await mailboxes.subscribe(name, subscribed)
        case e.AskStatus(name):
            return await mailboxes.status(name)
        case e.LoadRows(mailbox_id, uids, columns, mark_seen):
            return await mailboxes.load(mailbox_id, uids, columns, mark_seen=mark_seen)
        case e.ChangeFlags(mailbox_id, uids, mode, bits, keywords):
            return await mailboxes.change_flags(mailbox_id, uids, mode, bits, keywords)
        case e.AppendLetter(name, octets, bits, keywords, date):
            return await mailboxes.append(name, octets, flags=bits, keywords=keywords, date=date)
        case e.CopyMessages(mailbox_id, uids, name, move):
            return await mailboxes.copy(mailbox_id, uids, name, move=move)
        case e.ExpungeMessages(mailbox_id, uids_or_all):
            await mailboxes.expunge(mailbox_id, uids_or_all)
        case e.LookForChanges(mailbox_id, since, claim):
            return await mailboxes.changes(mailbox_id, since, claim=claim)
        case _:
            assert_never(request)
    return e.Done()
