"""A real IMAP door on loopback, over real SQLite, for the tests that drive it with imaplib."""

import asyncio
import contextlib
import imaplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from fakes import FakeClock
from postroad.base.bell import Bell
from postroad.base.seams import SocketAddress
from postroad.doors.imap import serve
from postroad.machine.disk import FolderDisk
from postroad.protocol.imap.render import render
from postroad.store.contents import Contents
from postroad.store.database import Database
from postroad.store.mailboxes import Added, Mailboxes

T = TypeVar("T")
PASSWORD = "correct horse"


class ImapCredentials:
    def __init__(self) -> None:
        self.changed = Bell()

    def check(self, user: str, password: bytes) -> bool:
        return user in ("anna", "anna@postroad.alt") and password == PASSWORD.encode()


class ImapPeerUid:
    def __init__(self) -> None:
        self.is_mine = True

    def is_owner(self, client: SocketAddress, server: SocketAddress) -> bool:
        return self.is_mine


class ImapHouse:
    """What stands behind the door, and the door's port."""

    def __init__(self, disk: FolderDisk, database: Database) -> None:
        self.disk = disk
        self.database = database
        self.clock = FakeClock()
        self.contents = Contents(disk)
        self.mailboxes = Mailboxes(database, self.contents, self.clock)
        self.peer_uid = ImapPeerUid()
        self.port = 0

    async def file(self, octets: bytes, name: str = "INBOX", flags: int = 0) -> Added:
        """File a letter as delivery does, and announce it."""
        added = await self.database.run(
            lambda sql: self.mailboxes.add(
                sql, name, octets, render(octets), flags=flags, date=self.clock.now()
            )
        )
        self.mailboxes.announce(added)
        return added

    async def client(self, work: Callable[[imaplib.IMAP4], T]) -> T:
        """Run blocking work with a fresh imaplib client in a thread."""

        def run() -> T:
            client = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
            try:
                return work(client)
            finally:
                with contextlib.suppress(OSError):  # after LOGOUT it is closed already
                    client.shutdown()

        return await asyncio.to_thread(run)

    async def logged_in(self, work: Callable[[imaplib.IMAP4], T]) -> T:
        def login(client: imaplib.IMAP4) -> T:
            assert client.login("anna", PASSWORD)[0] == "OK"
            return work(client)

        return await self.client(login)


@asynccontextmanager
async def imap_store(folder: Path) -> AsyncIterator[ImapHouse]:
    disk = FolderDisk(folder, reserve_bytes=0)
    try:
        async with Database(disk) as database:
            house = ImapHouse(disk, database)
            await database.run(lambda sql: house.mailboxes.ensure_standard(sql, house.clock.now()))
            yield house
    finally:
        disk.close()


@asynccontextmanager
async def imap_door(folder: Path) -> AsyncIterator[ImapHouse]:
    async with imap_store(folder) as house:
        listener = socket.create_server(("127.0.0.1", 0))
        house.port = listener.getsockname()[1]
        serving = asyncio.create_task(
            serve([listener], house.mailboxes, ImapCredentials(), house.peer_uid)
        )
        try:
            await asyncio.sleep(0)
            yield house
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            listener.close()
