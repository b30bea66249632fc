"""The database: what is answered is durable, even by a process that is killed.

Run as a program this file is the child of its own tests: it commits until it is killed, or dies in
a migration. A disk that fills is in test_full_disk.py.
"""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from postroad.base import limits
from postroad.base.errors import ConfigurationError, DiskFull, TemporaryFailure
from postroad.machine.disk import FolderDisk
from postroad.store import database as store
from postroad.store.database import FILE_NAME, Database, Sql, connect, in_words
from postroad.store.schema import MIGRATIONS
from postroad.timeouts import timeout

CHILD_PATH = os.pathsep.join(path for path in sys.path if path)


def put(name: str, octets: bytes = b"") -> Callable[[Sql], str]:
    def work(sql: Sql) -> str:
        sql.execute("INSERT INTO value (name, octets) VALUES (?, ?)", (name, octets))
        return name

    return work


def names(sql: Sql) -> list[str]:
    return [name for (name,) in sql.execute("SELECT name FROM value ORDER BY name")]


def with_database(folder: Path, work: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        disk = FolderDisk(folder, reserve_bytes=0)
        try:
            async with Database(disk) as database:
                await work(database)
        finally:
            disk.close()

    asyncio.run(run())


def stored(folder: Path) -> list[str]:
    sql = connect(str(folder / FILE_NAME))
    try:
        return names(sql)
    finally:
        sql.close()


# What `run` promises


def test_one_failing_piece_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    def fails(sql: Sql) -> None:
        put("half")(sql)
        raise ValueError("changed its mind")

    async def work(database: Database) -> None:
        answers = await asyncio.gather(
            database.run(put("one")),
            database.run(fails),
            database.run(put("two")),
            database.run(put("one")),  # breaks a constraint: our own bug, and stays itself
            database.run(put("three")),
            return_exceptions=True,
        )
        assert [answers[at] for at in (0, 2, 4)] == ["one", "two", "three"]
        assert isinstance(answers[1], ValueError)
        assert isinstance(answers[3], sqlite3.IntegrityError)
        assert await database.run(names) == ["one", "three", "two"]

    with_database(tmp_path, work)
    assert stored(tmp_path) == ["one", "three", "two"]


@pytest.mark.parametrize("raised", [StopIteration(), KeyError("k"), OverflowError(), MemoryError()])
def test_no_error_of_one_piece_closes_the_store(tmp_path: Path, raised: Exception) -> None:
    def fails(sql: Sql) -> None:
        put("half")(sql)
        raise raised

    async def work(database: Database) -> None:
        async with timeout(5):
            answers = await asyncio.gather(
                database.run(fails), database.run(put("one")), return_exceptions=True
            )
            assert isinstance(answers[0], Exception)
            assert answers[1] == "one"
            assert await database.run(names) == ["one"]

    with_database(tmp_path, work)


def test_an_integer_too_large_for_sqlite_fails_its_own_piece_only(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        answers = await asyncio.gather(
            database.run(put("one")),
            database.run(lambda sql: sql.execute("SELECT ?", (2**64,)).fetchall()),
            return_exceptions=True,
        )
        assert answers[0] == "one"
        assert isinstance(answers[1], OverflowError)

    with_database(tmp_path, work)


class CountedSql:
    """Counts the commits of a connection."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self.commits = 0
        sql.set_trace_callback(self.trace)

    def trace(self, statement: str) -> None:
        self.commits += statement == "COMMIT"


def test_many_callers_share_a_commit_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        assert database._sql is not None
        counted = CountedSql(database._sql)
        many = 3 * limits.COMMIT_BATCH_MAX
        answers = await asyncio.gather(
            *(database.run(put(f"{number:04}")) for number in range(many))
        )
        assert answers == [f"{number:04}" for number in range(many)]
        assert counted.commits <= 5
        counted.sql.set_trace_callback(None)

    with_database(tmp_path, work)
    assert len(stored(tmp_path)) == 3 * limits.COMMIT_BATCH_MAX


def test_nobody_hears_of_a_piece_before_its_commit(tmp_path: Path) -> None:
    """At each answer a second connection is asked, which sees only what is committed."""
    other = connect(str(tmp_path / FILE_NAME))

    async def one(database: Database, name: str) -> None:
        await database.run(put(name))
        assert name in names(other)

    async def work(database: Database) -> None:
        await asyncio.gather(*(one(database, str(number)) for number in range(150)))

    with_database(tmp_path, work)
    other.close()


def test_pieces_run_in_the_order_in_which_they_were_given(tmp_path: Path) -> None:
    seen: list[int] = []

    async def work(database: Database) -> None:
        await asyncio.gather(
            *(database.run(lambda _, number=number: seen.append(number)) for number in range(200))  # type: ignore[misc]
        )

    with_database(tmp_path, work)
    assert seen == list(range(200))


def test_who_stops_waiting_disturbs_nobody(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        impatient = [asyncio.create_task(database.run(put(f"a{number}"))) for number in range(70)]
        patient = [asyncio.create_task(database.run(put(f"b{number}"))) for number in range(70)]
        await asyncio.sleep(0)
        for task in impatient:
            task.cancel()
        assert await asyncio.gather(*patient) == [f"b{number}" for number in range(70)]
        await asyncio.gather(*impatient, return_exceptions=True)

    with_database(tmp_path, work)
    assert {f"b{number}" for number in range(70)} <= set(stored(tmp_path))


def test_leaving_finishes_what_was_begun_and_takes_no_more(tmp_path: Path) -> None:
    async def run() -> None:
        disk = FolderDisk(tmp_path, reserve_bytes=0)
        database = Database(disk)
        async with database:
            begun = [asyncio.create_task(database.run(put(f"{number:03}"))) for number in range(99)]
            await asyncio.sleep(0)
        assert [task.result() for task in begun] == [f"{number:03}" for number in range(99)]
        with pytest.raises(TemporaryFailure, match="stopping"):
            await database.run(put("late"))
        disk.close()

    asyncio.run(run())
    assert len(stored(tmp_path)) == 99


def test_when_the_writer_fails_nobody_waits_for_ever(tmp_path: Path) -> None:
    """Our own bug, of a kind that cannot happen: it has to be loud, and not silence."""

    async def run() -> None:
        disk = FolderDisk(tmp_path, reserve_bytes=0)
        database = await Database(disk).__aenter__()
        sql = database._sql
        waiting = [asyncio.create_task(database.run(put(str(one)))) for one in range(99)]
        disk.close()  # its thread is gone while pieces wait
        async with timeout(5):
            answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, TemporaryFailure) for answer in answers)
        with pytest.raises(TemporaryFailure):
            await database.run(put("late"))
        with pytest.raises(RuntimeError):
            await database.__aexit__(None, None, None)
        assert sql is not None
        sql.close()

    asyncio.run(run())


def test_who_reads_sees_all_that_was_answered_and_nothing_half_done(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        for number in range(20):
            name = f"{number:03}"
            await asyncio.gather(database.run(put(name)), database.read(names))
            assert name in await database.read(names)
        with pytest.raises(ZeroDivisionError):
            await database.read(lambda _: 1 // 0)
        assert len(await database.read(names)) == 20

    with_database(tmp_path, work)


def test_blocking_work_outside_fails_in_words_too(tmp_path: Path) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    def broken() -> None:
        raise OSError(5, "Input/output error")

    async def work(database: Database) -> None:
        assert await database.outside(lambda: 7) == 7
        with pytest.raises(DiskFull):
            await database.outside(full)
        with pytest.raises(TemporaryFailure, match="Input/output"):
            await database.outside(broken)
        with pytest.raises(DiskFull):
            await database.run(lambda _: full())
        with pytest.raises(TemporaryFailure, match="Input/output"):
            await database.run(lambda _: broken())

    with_database(tmp_path, work)


def test_errors_of_the_disk_are_told_in_words_and_our_bugs_are_not() -> None:
    for number in (28, 122, 27):  # ENOSPC, EDQUOT, EFBIG
        assert isinstance(in_words(OSError(number, "full")), DiskFull)
    assert isinstance(in_words(sqlite3.OperationalError("disk I/O error")), TemporaryFailure)
    for bug in (sqlite3.IntegrityError("unique"), sqlite3.ProgrammingError("syntax")):
        assert in_words(bug) is bug


# How it is opened


def test_its_promises_hold_on_the_connection_that_is_used(tmp_path: Path) -> None:
    def promises(sql: Sql) -> list[object]:
        asked = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
        return [sql.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]

    async def work(database: Database) -> None:
        assert await database.run(promises) == ["wal", 2, 1, 0]

    with_database(tmp_path, work)


def test_a_filesystem_without_write_ahead_log_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql == "PRAGMA journal_mode = WAL":
                sql = "PRAGMA journal_mode = DELETE"
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Deaf))
    with pytest.raises(AssertionError):
        connect(str(tmp_path / FILE_NAME))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_reads_the_store(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        sql = connect(str(tmp_path / FILE_NAME))
        put("one")(sql)
        files = sorted(tmp_path.iterdir())
        assert len(files) == 3  # with its log and index
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        sql.close()
    finally:
        os.umask(before)


def test_a_store_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    connect(str(tmp_path / FILE_NAME)).close()
    (tmp_path / FILE_NAME).chmod(0o644)
    connect(str(tmp_path / FILE_NAME)).close()
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_store_of_a_newer_version_is_refused_in_words(tmp_path: Path) -> None:
    sql = connect(str(tmp_path / FILE_NAME))
    sql.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    sql.close()
    with pytest.raises(ConfigurationError, match="newer Postroad") as refused:
        connect(str(tmp_path / FILE_NAME))
    assert f"format {len(MIGRATIONS) + 1}" in str(refused.value)


def test_the_head_of_the_file_tells_its_form_while_it_is_open(tmp_path: Path) -> None:
    """The Debian package reads it there, before an older version takes the place of a newer one."""
    sql = connect(str(tmp_path / FILE_NAME))
    head = (tmp_path / FILE_NAME).read_bytes()[:64]
    assert int.from_bytes(head[60:], "big") == len(MIGRATIONS) > 0
    sql.close()


@pytest.mark.parametrize(
    "octets", [b"not a database at all" * 100, b"SQLite format 3\0" + bytes(999)]
)
def test_a_file_that_is_no_store_is_refused_in_words_and_left_as_it_is(
    tmp_path: Path, octets: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(octets)
    with pytest.raises(ConfigurationError, match="24 words"):
        connect(str(tmp_path / FILE_NAME))
    assert (tmp_path / FILE_NAME).read_bytes() == octets


def test_a_store_that_cannot_be_opened_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigurationError, match=FILE_NAME):
        connect(str(tmp_path / FILE_NAME))
    with pytest.raises(ConfigurationError):
        connect(str(tmp_path / "nowhere" / FILE_NAME))


def test_the_schema_keeps_its_own_laws(tmp_path: Path) -> None:
    sql = connect(str(tmp_path / FILE_NAME))
    digest = bytes(32)
    for wrong in (
        ("INSERT INTO content (sha256, size, octets) VALUES (?, 3, x'00')", (digest,)),
        ("INSERT INTO content (sha256, size) VALUES (?, 3)", (digest[:-1],)),
        ("INSERT INTO lease VALUES (7, ?, ?, ?, 1, x'')", (bytes(16), digest, digest)),
        (
            "INSERT INTO held_letter (drop_id, mail_id, arrival, size, expires_at)"
            " VALUES (?, ?, 1, 1, 1)",
            (bytes(16), digest),
        ),
        ("INSERT INTO holding (fingerprint) VALUES ('nobody')", ()),
        ("INSERT INTO node_hour VALUES (?, 24, 1, 0, 1)", (digest,)),
        ("INSERT INTO directory_record VALUES (?, 1, 1, 1, zeroblob(12289))", (bytes(20),)),
        ("INSERT INTO value (name, octets) VALUES ('a', 'text')", ()),  # STRICT
    ):
        with pytest.raises(sqlite3.IntegrityError):
            sql.execute(*wrong)
    sql.close()


# Migrations


TWO = (
    *MIGRATIONS,
    "CREATE TABLE one (x INTEGER) STRICT; INSERT INTO one SELECT 1 FROM value;"
    "SELECT die(); CREATE TABLE two (x INTEGER) STRICT; DROP TABLE value",
)


@pytest.mark.parametrize("done", [0, len(MIGRATIONS)])
def test_a_migration_killed_half_way_restarts_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    if done:
        sql = connect(str(tmp_path / FILE_NAME))
        put("kept")(sql)
        sql.close()
    child = run_child("die-in-migration", tmp_path)
    assert child.returncode == -signal.SIGKILL, child.stderr

    if done:  # the older version finds its own store
        assert stored(tmp_path) == ["kept"]
    monkeypatch.setattr(store, "MIGRATIONS", tuple(one.replace("SELECT die();", "") for one in TWO))
    sql = connect(str(tmp_path / FILE_NAME))
    assert sql.execute("PRAGMA user_version").fetchone() == (len(TWO),)
    tables = {name for (name,) in sql.execute("SELECT name FROM sqlite_schema")}
    assert {"one", "two"} <= tables
    assert "value" not in tables
    assert sql.execute("SELECT count(*) FROM one").fetchone() == (int(done > 0),)
    assert sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sql.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = connect(str(tmp_path / FILE_NAME))
    put("kept")(sql)
    sql.close()
    bad = "CREATE TABLE one (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1)"
    with monkeypatch.context() as patch:
        patch.setattr(store, "MIGRATIONS", (*MIGRATIONS, bad))
        with pytest.raises(TemporaryFailure):
            connect(str(tmp_path / FILE_NAME))
    assert stored(tmp_path) == ["kept"]


# Crashes


def run_child(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        child_command(*arguments),
        env={**os.environ, "PYTHONPATH": CHILD_PATH},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def child_command(*arguments: object) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), *map(str, arguments)]


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_process_loses_no_acknowledged_row(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    acknowledged: list[str] = []
    for life in range(2):
        acknowledged += killed_after(tmp_path, f"{seed}-{life}", random.randrange(1, 600))
        found = set(stored(tmp_path))
        assert set(acknowledged) <= found
        halves = {name.rpartition("/")[0] for name in found}
        assert all({f"{one}/a", f"{one}/b"} <= found for one in halves), "half a piece is there"


def killed_after(folder: Path, life: str, acknowledgements: int) -> list[str]:
    """Run a committing child and kill it after so many acknowledgements; all that it gave."""
    with subprocess.Popen(
        child_command("commit", folder, life),
        env={**os.environ, "PYTHONPATH": CHILD_PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        first = [child.stdout.readline() for _ in range(acknowledgements)]
        child.kill()
        rest, errors = child.stdout.read(), child.stderr.read()
    assert child.returncode == -signal.SIGKILL, errors
    lines = "".join(first) + rest
    whole = lines[: lines.rfind("\n") + 1].split()
    assert len(whole) >= acknowledgements
    return whole


def commit_for_ever(folder: Path, life: str) -> None:
    async def one(database: Database, number: int) -> None:
        name = f"{life}/{number}"

        def work(sql: Sql) -> None:
            put(f"{name}/a", bytes(number % 5000))(sql)
            put(f"{name}/b")(sql)

        await database.run(work)
        os.write(1, f"{name}/a\n".encode())  # at once, and whole

    async def work(database: Database) -> None:
        number = 0
        while True:
            burst = range(number, number + 1 + number % 40)
            await asyncio.gather(*(one(database, each) for each in burst))
            number = burst.stop

    with_database(folder, work)


def die_in_migration(folder: Path) -> None:
    vars(store)["MIGRATIONS"] = TWO

    class Mortal(sqlite3.Connection):
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)  # type: ignore[arg-type]
            self.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))

    vars(sqlite3)["connect"] = partial(sqlite3.connect, factory=Mortal)
    connect(str(folder / FILE_NAME))


def test_a_long_migration_tells_that_it_gets_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service manager would kill a start of which it hears nothing."""
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) "
    long = f"CREATE TABLE sum (n) STRICT; {count} INSERT INTO sum SELECT sum(i) FROM n"
    monkeypatch.setattr(store, "MIGRATIONS", (long.replace("(n) STRICT", "(n INT) STRICT"),))
    told: list[bool] = []
    sql = connect(str(tmp_path / "store"), lambda: told.append(True))
    assert told
    before = len(told)
    sql.execute(f"{count} SELECT sum(i) FROM n").fetchone()
    assert len(told) == before  # only while it is opened
    sql.close()


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    {
        "commit": lambda: commit_for_ever(folder, sys.argv[3]),
        "die-in-migration": lambda: die_in_migration(folder),
    }[sys.argv[1]]()
