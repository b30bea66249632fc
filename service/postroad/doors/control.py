"""The door for `postroad` itself: a Unix socket in the runtime folder, one JSON line each way.

Purpose: let the command line ask a running node. Only processes of the owner's UID are answered
(SO_PEERCRED), each on its own doorstep. Questions: {"do": "invite"}; answers: {"ok": true, ...} or
{"ok": false, "error": "a sentence"}, with "error_parts" where it has some (`phrases`).
Files of the owner's are opened by the command line, for the node may not see them. Before its
answer the node then says {"octets": n}, and n octets for the file follow; or {"more": true}, and is
sent the next octets of the file behind their number (u32), 0 at its end; or {"keep": true}: the
file is complete, and 0 comes back once it is durable under its name.
"""

import asyncio
import json
import logging
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import AsyncExitStack, suppress
from socket import SO_PEERCRED, SOL_SOCKET, socket
from types import MappingProxyType
from typing import Any, Protocol

from postroad import phrases
from postroad.base import limits, vigil
from postroad.base.errors import Locked, NotSetUp, PermanentFailure, PostroadError, TemporaryFailure
from postroad.base.ids import Instant
from postroad.base.seams import Arrivals, Clock
from postroad.delivery.reasons import in_parts
from postroad.message.address import Address
from postroad.phrases import phrase
from postroad.protocol import helping, invitation
from postroad.store import bundled, invitations, people, queue
from postroad.store.database import Database, Sql
from postroad.store.helpers import HelperRow
from postroad.store.pauses import Pauses
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
LAST_WORD_SECONDS = 2.0
ACCEPT_PAUSE_SECONDS = 0.5  # when there is no descriptor for another connection
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)

Reply = dict[str, Any]
Question = Callable[[dict[str, Any]], Awaitable[Reply]]
FileQuestion = Callable[[dict[str, Any], "OwnersFile"], Awaitable[Reply]]
_SIZE = struct.Struct(">I")


class Introductions(Protocol):
    async def invite(self, seconds: float, name: str) -> tuple[str, int, int]: ...

    async def accept(self, link: str) -> tuple[Address, bool]: ...


class Helpers(Protocol):
    async def all(self) -> list[HelperRow]: ...

    async def add(self, link: str) -> str: ...

    async def remove(self, name: str) -> None: ...


class Progress(Protocol):
    def told(self, parcel_id: int) -> Reply:
        """How much of a large letter has gone, while it is being sent."""


class Network(Protocol):
    """`doors.network.NetworkDesk`."""

    @property
    def questions(self) -> Mapping[str, Question]: ...

    def why_not_met(self, person: people.Person) -> str: ...

    async def wait_until_joined(self) -> None: ...


async def serve(
    listening: socket,
    questions: Mapping[str, Question],
    file_questions: Mapping[str, FileQuestion] = MappingProxyType({}),
) -> None:
    """Answer these questions to the owner's processes, until cancelled; then close the socket and
    every connection. `file_questions`: what may be asked about files of the owner's."""
    await serve_questions(listening, questions, {os.getuid()}, file_questions)


async def serve_questions(
    listening: socket,
    questions: Mapping[str, Question],
    uids: Container[int],
    file_questions: Mapping[str, FileQuestion] = MappingProxyType({}),
) -> None:
    """Answer these questions, by their names, to the processes of these users."""
    step = _Doorstep(questions, uids, file_questions)
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as servers:

        def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.create_task(step.connected(reader, writer), name="control connection")

        server = await asyncio.start_unix_server(
            admit, sock=listening, limit=limits.CONTROL_LINE_BYTES_MAX
        )
        # Not `async with server`: from Python 3.12 on that waits for the connections to end.
        servers.callback(server.close)
        await asyncio.get_running_loop().create_future()  # until cancelled


async def serve_for_a_while(
    listening: socket, arrivals: Arrivals, questions: Mapping[str, Question], until: asyncio.Event
) -> None:
    """Answer the owner's processes until the event; whoever is being answered then still is.

    The socket stays open: whoever comes afterwards waits for the one who serves it next."""
    step = _Doorstep(questions, {os.getuid()}, {})
    with suppress(TimeoutError):
        async with timeout(None) as limit, asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(_accept(listening, arrivals, step, tasks), name="accept")
            await until.wait()
            accepting.cancel()
            limit.reschedule(asyncio.get_running_loop().time() + LAST_WORD_SECONDS)


async def _accept(
    listening: socket, arrivals: Arrivals, step: "_Doorstep", tasks: asyncio.TaskGroup
) -> None:
    slots = asyncio.Semaphore(limits.DOOR_CONNECTIONS_MAX)
    while True:
        await slots.acquire()
        try:
            connection, _ = await arrivals(listening)
        except OSError as error:
            log.warning("control: a connection could not be taken: %s", error)
            slots.release()
            await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
            continue
        # At once: whoever was taken is answered, also if we are cancelled in this very turn.
        answering = tasks.create_task(_attend(connection, step), name="control connection")
        answering.add_done_callback(lambda _: slots.release())


async def _attend(connection: socket, step: "_Doorstep") -> None:
    try:
        reader, writer = await asyncio.open_connection(
            sock=connection, limit=limits.CONTROL_LINE_BYTES_MAX
        )
    except OSError as error:
        log.info("control: a connection ended: %s", error)
        connection.close()
    else:
        await step.connected(reader, writer)


class OwnersDesk:
    """What an owner may ask of their node as a whole, but for how it does."""

    def __init__(
        self,
        database: Database,
        introductions: Introductions,
        clock: Clock,
        pauses: Pauses,
        helpers: Helpers,
        network: Network,
        progress: Progress,
    ) -> None:
        self._database = database
        self._introductions = introductions
        self._clock = clock
        self._pauses = pauses
        self._helpers = helpers
        self._network = network
        self._progress = progress
        self.questions: dict[str, Question] = {
            "queue": self._queue,
            "invite": self._invite,
            "accept": self._accept,
            "pause": self._pause,
            "resume": self._resume,
            "helpers": self._list_helpers,
            "remove helper": self._remove_helper,
        }

    async def _queue(self, _: dict[str, Any]) -> Reply:
        def told(sql: Sql, row: queue.Row) -> Reply:
            advice = self._advice(sql, row)
            reason = row.parcel.reason
            return {
                "reason": reason,
                "reason_parts": phrases.told(in_parts(reason)),
                "advice": advice,
                "advice_parts": phrases.told(advice),
            }

        def work(sql: Sql) -> list[Reply]:
            bundled_at = bundled.when(sql)
            return [
                {
                    "id": row.id,
                    "letter": row.nonce.hex(),
                    "recipient": row.recipient,
                    "state": row.parcel.state.value,
                    "holders": len(queue.leases(sql, row.id)),
                    "next_try_at": row.parcel.due_at,
                    "tries": row.parcel.tries,
                    **told(sql, row),
                    "bundled_at": bundled_at.get(row.id),
                    **self._progress.told(row.id),
                }
                for row in queue.waiting(sql)
            ]

        found = await self._database.read(work)
        return {"queue": found, "now": self._clock.now(), **self._pause_told()}

    def _advice(self, sql: Sql, row: queue.Row) -> str:
        """What to do about a letter that neither its recipient nor a holder could be brought."""
        if not row.parcel.tries or queue.leases(sql, row.id):
            return ""
        person = people.contact(sql, row.fingerprint)
        return "" if person is None else self._network.why_not_met(person)

    def _pause_told(self) -> Reply:
        pause = self._pauses.pause
        return {"paused": pause is not None, "paused_until": pause and pause.until}

    async def _pause(self, request: dict[str, Any]) -> Reply:
        seconds = request.get("seconds")
        if seconds is None:
            await self._pauses.begin(None)
        elif isinstance(seconds, int) and 0 < seconds <= limits.PAUSE_SECONDS_MAX:
            await self._pauses.begin(Instant(self._clock.now() + seconds))
        else:
            days = limits.PAUSE_SECONDS_MAX // limits.DAY
            raise PermanentFailure(f"A pause lasts between a second and {days} days.")
        return self._pause_told()

    async def _resume(self, _: dict[str, Any]) -> Reply:
        was_paused = self._pauses.pause is not None
        await self._pauses.end()
        await self._network.wait_until_joined()
        return {"was_paused": was_paused}

    def _expect_no_pause(self) -> None:
        if self._pauses.pause is not None:
            raise TemporaryFailure(phrase("Your node is paused. Type first: postroad resume"))

    async def _invite(self, request: dict[str, Any]) -> Reply:
        """`seconds`: how long it works; `name`: for whom it is."""
        self._expect_no_pause()
        seconds = request.get("seconds")
        if not isinstance(seconds, int):
            seconds = limits.INVITATION_SECONDS_DEFAULT
        name = str(request.get("name") or "")
        link, told, holders = await self._introductions.invite(seconds, name)
        made = invitation.from_link(link)
        return {
            "link": link,
            "id": invitations.id_of(made.secret),
            "expires_at": made.expires,
            "seconds": seconds,
            "name": name,
            "holders_told": told,
            "holders": holders,
        }

    async def _list_helpers(self, _: dict[str, Any]) -> Reply:
        return {
            "helpers": [
                {"name": one.name, "seen_at": one.seen_at, "refusal": one.refusal}
                for one in await self._helpers.all()
            ]
        }

    async def _remove_helper(self, request: dict[str, Any]) -> Reply:
        await self._helpers.remove(str(request.get("name", "")))
        return {}

    async def _accept(self, request: dict[str, Any]) -> Reply:
        self._expect_no_pause()
        if helping.is_link(str(request.get("link", ""))):
            return {"helper": await self._helpers.add(str(request["link"]))}
        address, is_new = await self._introductions.accept(str(request.get("link", "")))
        person = await self._database.read(lambda sql: people.contact(sql, address.fingerprint))
        name = address.name if person is None else person.name
        return {"address": str(address), "is_new": is_new, "name": name}


class OwnersFile:
    """A file that the command line has open for us. A process that went away is an OSError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, octets: bytes) -> None:
        await self._say({"octets": len(octets)}, octets)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its octets, in pieces of at most BUNDLE_PIECE_BYTES."""
        while octets := await self._ask({"more": True}):
            yield octets

    async def keep(self) -> None:
        """It is complete; returns once it is durable."""
        await self._ask({"keep": True})

    async def _ask(self, what: Reply) -> bytes:
        await self._say(what, b"")
        async with timeout(limits.CONTROL_SECONDS_MAX):
            (size,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
            if size > limits.BUNDLE_PIECE_BYTES:
                raise ConnectionError("a piece is too large")
            return await self._reader.readexactly(size)

    async def _say(self, what: Reply, octets: bytes) -> None:
        self._writer.write(json.dumps(what).encode() + b"\n" + octets)
        async with timeout(limits.CONTROL_SECONDS_MAX):
            await self._writer.drain()


class _Doorstep:
    """One line in, one line out, whatever goes wrong in between."""

    def __init__(
        self,
        questions: Mapping[str, Question],
        uids: Container[int],
        file_questions: Mapping[str, FileQuestion],
    ) -> None:
        self._questions = questions
        self._uids = uids
        self._file_questions = file_questions

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _uid(writer) not in self._uids:
                return
            async with timeout(limits.CONTROL_SECONDS_MAX):
                line = await reader.readline()
            answer = await self._answer(line, OwnersFile(reader, writer))
            writer.write(json.dumps(answer).encode() + b"\n")
            async with timeout(limits.CONTROL_SECONDS_MAX):
                await writer.drain()
        except (OSError, ValueError, EOFError, TimeoutError) as error:
            log.info("control: a connection ended: %s", error)
        except Exception:
            log.exception("control: a connection ended in an error")
        finally:
            writer.close()

    async def _answer(self, line: bytes, file: OwnersFile) -> Reply:
        try:
            request = json.loads(line)
            json.dumps(request, ensure_ascii=False).encode()  # JSON can say half a character
            with_file = self._file_questions.get(request["do"])
            work = None if with_file else self._questions[request["do"]]
        except UnicodeEncodeError:
            return {"ok": False, "error": "What was asked is no text: half a character is in it."}
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"ok": False, "error": "This node does not know that request."}
        vigil.bringer.set("the owner")  # a connection is a task of its own
        try:
            if with_file is not None:  # each step of it has a deadline of its own
                return {"ok": True, **await with_file(request, file)}
            assert work is not None
            async with timeout(limits.CONTROL_SECONDS_MAX):
                return {"ok": True, **await work(request)}
        except TimeoutError:
            return {"ok": False, "error": "Your node is too busy to answer this. Try again."}
        except Locked as error:
            return {**_refused(error), "locked": True}
        except NotSetUp as error:
            return {**_refused(error), "not_set_up": True}
        except PostroadError as error:
            return _refused(error)
        except (ConnectionError, EOFError):
            raise  # whoever asked has gone, and the file with them
        except Exception:
            log.exception("control: answering failed")
            return {"ok": False, "error": "Your node failed at this; its log says how."}


def _refused(error: PostroadError) -> dict[str, Any]:
    """With the parts of its sentence, for an asker with another language."""
    sentence = str(error)
    known = isinstance(sentence, phrases.Phrase)
    parts = {"error_parts": phrases.told(sentence)} if known else {}
    return {"ok": False, "error": sentence, **parts}


def _uid(writer: asyncio.StreamWriter) -> int:
    connection = writer.get_extra_info("socket")
    octets = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(octets)
    return int(uid)
