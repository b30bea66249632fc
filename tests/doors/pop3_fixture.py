"""A real POP3 door on loopback, and an IMAP door beside it, over one real store."""

import asyncio
import poplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from doors.imap_fixture import PASSWORD, ImapCredentials, ImapHouse, imap_store
from postroad.doors import imap, pop3
from postroad.store.maildrop import Inbox
from postroad.timeouts import timeout

T = TypeVar("T")


class Pop3House:
    """What stands behind the doors, and their ports."""

    def __init__(self, house: ImapHouse, port: int) -> None:
        self.house = house
        self.port = port
        self.knows = ImapCredentials()
        self.inbox = Inbox(house.database, house.contents, house.mailboxes, house.clock)

    async def client(self, work: Callable[[poplib.POP3], T]) -> T:
        """Run blocking work with a fresh poplib client in a thread; it is cut off at the end."""

        def run() -> T:
            client = poplib.POP3("127.0.0.1", self.port, timeout=20)
            try:
                return work(client)
            finally:
                client.close()

        return await asyncio.to_thread(run)

    async def logged_in(self, work: Callable[[poplib.POP3], T]) -> T:
        def login(client: poplib.POP3) -> T:
            client.user("anna")
            client.pass_(PASSWORD)
            return work(client)

        return await self.client(login)

    async def talk(self, *lines: bytes, hang_up: bool = True) -> bytes:
        """Say these lines, and hear everything until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"".join(line + b"\r\n" for line in lines))
            if hang_up:
                writer.write_eof()
            async with timeout(20):
                return await reader.read()
        finally:
            writer.close()


LOGIN = (b"USER anna", b"PASS " + PASSWORD.encode())


@asynccontextmanager
async def pop3_door(folder: Path) -> AsyncIterator[Pop3House]:
    async with imap_store(folder) as house:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        house.port = listeners[1].getsockname()[1]
        both = Pop3House(house, listeners[0].getsockname()[1])
        knows = both.knows
        serving = [
            asyncio.create_task(pop3.serve(listeners[:1], both.inbox, knows, house.peer_uid)),
            asyncio.create_task(imap.serve(listeners[1:], house.mailboxes, knows, house.peer_uid)),
        ]
        try:
            await asyncio.sleep(0)
            yield both
        finally:
            for one in serving:
                one.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            for listener in listeners:
                listener.close()
