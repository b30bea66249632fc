"""How long a node takes from its start until it serves: READY=1, with a large mailbox.

    make bench ONLY=start [ARGS="100000 5"]      messages in the store, starts

A real node, set up, with that many letters in its INBOX; started as systemd does, with the ports of
its doors held for it. Taken is the time from the start of the process to READY=1, that of a mail
program which connected before the start until it is greeted, and the time from SIGTERM to the end
while an SMTP and an IMAP client are connected.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import results
from person import Person
from postroad.base.ids import Instant
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.protocol.imap.render import render
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.mailboxes import Mailboxes
from service_manager import ServiceManager

BATCH = 1000
SINCE = 1_700_000_000.0


async def fill(folder: Path, count: int) -> None:
    """So many letters into the INBOX, in the way of the store itself."""
    disk = FolderDisk(folder)
    async with Database(disk) as database:
        mailboxes = Mailboxes(database, Contents(disk), SystemClock())
        await database.run(lambda sql: mailboxes.ensure_standard(sql, Instant(SINCE)))
        for begin in range(0, count, BATCH):

            def work(sql: Sql, begin: int = begin) -> None:
                for number in range(begin, min(begin + BATCH, count)):
                    octets = letter(number)
                    mailboxes.add(
                        sql,
                        "INBOX",
                        octets,
                        render(octets),
                        flags=0,
                        keywords="",
                        date=Instant(SINCE + number),
                    )

            await database.run(work)
    disk.close()


def letter(number: int) -> bytes:
    lines = [
        f"From: Person {number % 97} <person{number % 97}@example.org>",
        "To: Anna <anna@example.org>",
        f"Subject: letter {number}",
        "Date: Mon, 01 Jan 2029 10:00:00 +0000",
        f"Message-ID: <{number}@example.org>",
        "",
        *(f"Line {line} of letter {number}." for line in range(20)),
    ]
    return "\r\n".join(lines).encode() + b"\r\n"


def start_once(systemd: ServiceManager) -> dict[str, float]:
    with socket.create_connection(("127.0.0.1", systemd.port("imap")), timeout=60) as waiting:
        began = time.monotonic()
        systemd.start()
        systemd.heard("READY=1")
        ready = time.monotonic() - began
        assert waiting.recv(4096).startswith(b"* OK")
        greeted = time.monotonic() - began
        with socket.create_connection(("127.0.0.1", systemd.port("smtp")), timeout=60) as smtp:
            assert smtp.recv(4096).startswith(b"220")
            stopped = systemd.stop()
    return {"ready_seconds": ready, "greeted_seconds": greeted, "stop_seconds": stopped}


def play(count: int, starts: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="postroad-start-") as base:
        anna = Person("anna", Path(base), 0)
        anna.set_up()
        began = time.monotonic()
        asyncio.run(fill(anna.folder / "data", count))
        print(f"start: {count} letters were filed in {time.monotonic() - began:.0f} s", flush=True)
        systemd = ServiceManager(anna)
        try:
            start_once(systemd)  # compiles, and reads the files for the first time
            runs = [start_once(systemd) for _ in range(starts)]
            systemd.start()
            systemd.heard("READY=1")
            anna.imap_port = systemd.port("imap")
            with anna.imap() as imap:
                assert imap.status("INBOX", "(MESSAGES)")[1][0].endswith(b"%d)" % count)
        finally:
            systemd.close()
    found: dict[str, object] = {"messages": count}
    for name in runs[0]:
        taken = [run[name] for run in runs]
        found[name] = {"median": round(statistics.median(taken), 3), "max": round(max(taken), 3)}
        print(f"start: {name}: {[round(one, 3) for one in taken]}", flush=True)
    return found


def main() -> None:
    results.must_be_alone()
    count = int(sys.argv[1]) if sys.argv[1:] else 100_000
    starts = int(sys.argv[2]) if sys.argv[2:] else 5
    results.write("start", play(count, starts), starts)


if __name__ == "__main__":
    main()
