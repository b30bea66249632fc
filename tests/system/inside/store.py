"""A store as its files are: what an upgrade makes of it, and what it is when that is cut off.

It is run by the system's own Python, as the owner of the store: a JSON request on stdin, a JSON
answer on stdout; or it is imported. Standard library only.
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Request = dict[str, Any]
Answer = dict[str, Any]
FILE = "postroad.sqlite"
SERVICE = "postroad.service"
LONG_AGO = 1_000_000_000.0  # seconds of the epoch: no statistics of today look at it
PEOPLE = 1000  # who were written to
WAIT_SECONDS_MAX = 60.0


def grow(request: Request) -> Answer:
    """Have the statistics tell of so many letters of long ago, as if nothing were ever forgotten:
    whoever rewrites each row needs seconds. The node is off."""
    path, rows = request["store"], request["rows"]
    with contextlib.closing(sqlite3.connect(path)) as sql, sql:
        sql.execute(
            """WITH RECURSIVE each (number) AS (
                   VALUES (1) UNION ALL SELECT number + 1 FROM each WHERE number < ?
               )
               INSERT INTO statistics (accepted_at, fingerprint, state, late, failed_by)
               SELECT ? + 600 * number, 'somebody ' || number % ?, 'delivered', 0, x'' FROM each""",
            (rows, LONG_AGO, PEOPLE),
        )
    return look(request)


def look(request: Request) -> Answer:
    """The format of a store, and how far the second migration has come with it."""
    with contextlib.closing(sqlite3.connect(request["store"])) as sql:
        tables = {name for (name,) in sql.execute("SELECT name FROM sqlite_schema")}
        columns = {row[1] for row in sql.execute("PRAGMA table_info(statistics)")}
        told = {
            "format": one(sql, "PRAGMA user_version"),
            "rows": one(sql, "SELECT count(*) FROM statistics"),
            "whole": one(sql, "PRAGMA integrity_check") == "ok",
            "begun": "month" in columns or "correspondent" in tables,
            "rewritten": 0,
            "counted": 0,
        }
        if told["begun"]:
            told["rewritten"] = one(sql, "SELECT count(*) FROM statistics WHERE month != ''")
            told["counted"] = one(sql, "SELECT total(letters) FROM correspondent")
    return told


def one(sql: sqlite3.Connection, question: str) -> Any:
    return sql.execute(question).fetchone()[0]


def interrupt(request: Request) -> Answer:
    """Kill the service with -9 each time that the log beside its store has grown to one of these
    sizes, and tell what the files came to that it left there: nobody has opened them since."""
    found = []
    for size in request["sizes"]:
        until_log_holds(request["store"], size)
        process = int(shown("MainPID"))
        os.kill(process, signal.SIGSTOP)
        while not all(state(task) in "TZ" for task in Path(f"/proc/{process}/task").iterdir()):
            time.sleep(0.001)
        with tempfile.TemporaryDirectory() as scratch:
            for path in (request["store"], request["store"] + "-wal"):
                shutil.copy(path, scratch)
            os.kill(process, signal.SIGKILL)
            found.append(look({"store": f"{scratch}/{FILE}"}))
    return {"found": found}


def until_log_holds(store: str, size: int) -> None:
    """So many octets that nothing was committed for yet: SQLite writes down what grows too large
    for its memory."""
    ends = time.monotonic() + WAIT_SECONDS_MAX
    log = Path(store + "-wal")
    while not (log.exists() and log.stat().st_size >= size):
        if time.monotonic() > ends:
            raise TimeoutError(f"{log} has not come to {size} octets")
        time.sleep(0.002)


def state(task: Path) -> str:
    """As /proc has it: T is stopped."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def shown(what: str) -> str:
    command = ["systemctl", "--user", "show", "--value", f"--property={what}", SERVICE]
    return subprocess.check_output(command, text=True)


DEEDS = (grow, look, interrupt)


def main() -> None:
    request = json.load(sys.stdin)
    wanted = request.pop("do")
    deed = next(deed for deed in DEEDS if deed.__name__ == wanted)
    json.dump(deed(request), sys.stdout)


if __name__ == "__main__":
    main()
