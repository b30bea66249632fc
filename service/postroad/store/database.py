"""The one database: opened with its promises asserted, written by one thread in grouped commits.

Purpose: run each piece of work in its own savepoint, commit many together, answer after the commit.
Invariants: `run` returns only what is durable; a failed piece leaves nothing behind and does not
disturb its neighbours; WAL and synchronous=FULL are asserted at every open (NORMAL lost
acknowledged mail in 15 of 40 power cuts, FULL in none).
See: docs/adr/0002-storage.md.
"""

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from postroad.base import limits
from postroad.base.errors import ConfigurationError, DiskFull, TemporaryFailure
from postroad.base.seams import Disk
from postroad.store.schema import MIGRATIONS

log = logging.getLogger(__name__)
T = TypeVar("T")
Sql = sqlite3.Connection
"""A transaction under way, in the database thread: what functions of the store take."""
FILE_NAME = "postroad.sqlite"
IN_USE = (
    "Another program has the store to itself, as a node has that was started on a full disk. Make "
    "room, start your node again, then try again."
)
PATIENCE_SECONDS = 1.0  # with somebody who has it to themselves, or is about to open it
PATIENCE_SECONDS_LONG = 5.0
NO_ROOM_FOR_INDEX = sqlite3.SQLITE_IOERR_SHMSIZE  # the one of the log, which readers share
OPENING_STEPS = 1_000_000  # of SQLite's machine: some hundredths of a second


@dataclass(slots=True)
class _Piece:
    """Work that waits for its commit, and the caller who waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]
    reads_only: bool
    then: Callable[[Any], None] | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    """`of_disk`: the disk or the database file failed, and not the work."""

    error: BaseException
    of_disk: bool = False


class Database:
    """Use as `async with Database(disk) as database`; leaving it finishes what was begun.

    `opening`: called in the database thread now and then, while a migration gets on. `trouble`: how
    the disk failed the last commit, a sentence; "": it did not."""

    def __init__(self, disk: Disk, opening: Callable[[], None] = lambda: None) -> None:
        self.trouble = ""
        self._disk = disk
        self._opening = opening
        self._sql: sqlite3.Connection | None = None
        self._pending: list[_Piece] = []
        self._begun: list[_Piece] = []
        self._writer: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self.on_commit: Callable[[], None] = lambda: None  # hears of each group of commits
        self._views: list[Callable[[sqlite3.Connection], None]] = []

    async def __aenter__(self) -> "Database":
        path = f"{self._disk.folder}/{FILE_NAME}"
        self._sql = await self._disk.run(lambda: connect(path, self._opening))
        self._writer = asyncio.create_task(self._write(), name="database writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._writer is not None
        assert self._sql is not None
        self._closing = True
        self._wake.set()
        try:
            await self._writer
        finally:
            await self._disk.run(self._sql.close)

    async def run(
        self,
        work: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Do `work` and commit; its answer is durable, or it raised and nothing of it remains.

        Raises DiskFull or TemporaryFailure when the disk failed, and whatever `work` raises.
        `work` runs in the database thread and must not wait for anything but the disk. `then` is
        called on the event loop after the commit, also when the caller was cancelled meanwhile:
        what is committed has to be announced.
        """
        return await self._enqueue(work, reads_only=False, then=then)

    def later(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Do `work` and commit, in its turn, with nobody waiting; a crash may forget it.

        What fails is logged."""
        if not self._closing:
            done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            done.add_done_callback(_tell_of_failure)
            self._pending.append(_Piece(work, done, reads_only=False))
            self._wake.set()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` that only reads, outside of any transaction; it sees all earlier commits.

        A transaction that met a damaged page cannot be committed, and with it the works of others
        in the same batch: reading here costs them nothing."""
        return await self._enqueue(work, reads_only=True)

    async def answers(self) -> None:
        """Return when the database thread answers; TemporaryFailure when it cannot read."""
        await self.read(lambda sql: sql.execute("SELECT 1").fetchone())

    async def _enqueue(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        reads_only: bool,
        then: Callable[[T], None] | None = None,
    ) -> T:
        if self._closing:
            raise TemporaryFailure("The node is stopping; try again when it is back.")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Piece(_as_of_this_task(work), done, reads_only, then))
        self._wake.set()
        return await done

    async def keep_fresh(self, view: Callable[[sqlite3.Connection], None]) -> None:
        """Have `view` read now, and in the database thread after each commit of somebody's work,
        before anybody hears of that; it has to be as cheap as a look at a few rows.

        What fails is logged, and tried again after the next commit."""
        await self.read(view)
        self._views.append(view)

    async def watch(self) -> None:
        """Wait for the writer's end, which only a fault of ours brings early, and raise it."""
        assert self._writer is not None
        await asyncio.shield(self._writer)

    async def outside(self, work: Callable[[], T]) -> T:
        """Do blocking work that needs no transaction, in the same thread; errors as in `run`."""
        try:
            return await self._disk.run(_as_of_this_task(work))
        except OSError as error:
            raise in_words(error) from error

    async def _write(self) -> None:
        try:
            await self._write_until_closed()
        except BaseException as error:  # our own bug: nobody may wait for ever
            self._closing = True
            for piece in [*self._begun, *self._pending]:
                if not piece.done.done():
                    piece.done.set_exception(TemporaryFailure(f"The store failed ({error})."))
            raise

    async def _write_until_closed(self) -> None:
        while self._pending or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch = self._begun = self._pending[: limits.COMMIT_BATCH_MAX]
                del self._pending[: len(batch)]
                answers = await self._disk.run(partial(self._do, batch))
                for piece, answer in zip(batch, answers, strict=True):
                    _settle(piece, answer)
                if not all(piece.reads_only for piece in batch):
                    self.on_commit()
            if self._closing:
                return

    def _do(self, batch: list[_Piece]) -> list[Any]:
        sql = self._sql
        assert sql is not None
        answers = [_alone(sql, piece.work) if piece.reads_only else None for piece in batch]
        changes = [at for at, piece in enumerate(batch) if not piece.reads_only]
        if changes:
            done = _commit(sql, [batch[at].work for at in changes])
            failed = [one for one in done if isinstance(one, _Failed) and one.of_disk]
            self.trouble = str(failed[0].error) if failed else ""
            for at, answer in zip(changes, done, strict=True):
                answers[at] = answer
            self._look(sql)
        return answers

    def _look(self, sql: sqlite3.Connection) -> None:
        for view in self._views:
            failed = _alone(sql, view)
            if failed is not None:
                log.error("what was changed could not be looked at: %s", failed.error)


def _as_of_this_task(work: Callable[..., T]) -> Callable[..., T]:
    """The work, with the context of the task that asks for it: who keeps watch (`base.vigil`)."""
    return partial(copy_context().run, work)


def _settle(piece: _Piece, answer: Any) -> None:
    """Tell whoever waits what became of the work, and do what follows a commit."""
    failed = isinstance(answer, _Failed)
    if not piece.done.cancelled():
        if failed:
            piece.done.set_exception(answer.error)
        else:
            piece.done.set_result(answer)
    if piece.then is not None and not failed:
        try:
            piece.then(answer)
        except Exception:  # a fault of theirs is not the store's
            log.exception("what follows a commit failed")


def _tell_of_failure(done: asyncio.Future[object]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("work that nobody waited for failed: %s", error)


def _alone(sql: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> Any:
    try:
        return work(sql)
    except Exception as error:
        return _failed(error)


def _commit(sql: sqlite3.Connection, works: list[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    try:
        sql.execute("BEGIN IMMEDIATE")
        answers = [_in_savepoint(sql, work) for work in works]
        sql.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        if sql.in_transaction:
            sql.execute("ROLLBACK")
        return [_failed(error)] * len(works)
    return answers


def _in_savepoint(sql: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> Any:
    sql.execute("SAVEPOINT piece")
    try:
        answer = work(sql)
    except Exception as error:
        if not sql.in_transaction:  # SQLite itself rolled all back (disk full, I/O error)
            raise
        sql.execute("ROLLBACK TO piece")
        sql.execute("RELEASE piece")
        return _failed(error)
    sql.execute("RELEASE piece")
    return answer


def _failed(error: Exception) -> _Failed:
    if isinstance(error, StopIteration):  # a future refuses to carry it
        error = RuntimeError("work in the database ended with StopIteration")
    if isinstance(error, sqlite3.Error | OSError):
        told = in_words(error)
        return _Failed(told, of_disk=told is not error)
    return _Failed(error)


def in_words(error: sqlite3.Error | OSError) -> Exception:
    """The error that a door can tell a person; a broken constraint is our bug and stays itself."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        return error
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    code = getattr(error, "sqlite_errorcode", None)
    if full or code in (sqlite3.SQLITE_FULL, NO_ROOM_FOR_INDEX):
        return DiskFull("The disk is full; nothing was lost. Make room, then try again.")
    if code == sqlite3.SQLITE_BUSY:
        return TemporaryFailure(IN_USE)
    return TemporaryFailure(f"The disk did not take it ({error}); try again later.")


def connect(path: str, opening: Callable[[], None] = lambda: None) -> sqlite3.Connection:
    """Open or make the database: its owner's alone, promises asserted, schema up to date.

    On a disk without room for the log's index that is in memory, and no other connection can read
    until this one is closed."""
    try:
        _close_to_others(path)
        sql = _unprepared(path)
    except (OSError, sqlite3.Error) as error:
        raise _cannot_open(path, error) from error
    try:
        if not _set_wal(sql):
            sql.close()
            sql = _unprepared(path)
            _have_to_oneself(sql)
            sql.execute("PRAGMA journal_mode = WAL")
            _remove_index(path)
            log.warning("the disk is full: until a start with room nobody else can read the store")
        sql.execute("PRAGMA synchronous = FULL")
        sql.execute("PRAGMA foreign_keys = ON")
        sql.execute("PRAGMA trusted_schema = OFF")
        sql.execute("PRAGMA cell_size_check = ON")
        sql.execute("PRAGMA temp_store = MEMORY")  # nothing of a letter in a temporary folder
        assert sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert sql.execute("PRAGMA synchronous").fetchone() == (2,)
        assert sql.execute("PRAGMA foreign_keys").fetchone() == (1,)
        sql.set_progress_handler(opening, OPENING_STEPS)
        migrate(sql)
        sql.set_progress_handler(None, 0)
    except BaseException as error:
        sql.close()
        if isinstance(error, sqlite3.OperationalError) and "readonly" not in str(error):
            raise in_words(error) from error
        if isinstance(error, sqlite3.DatabaseError):
            raise _cannot_open(path, error) from error
        raise
    return sql


def _unprepared(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        PATIENCE_SECONDS_LONG,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _set_wal(sql: sqlite3.Connection) -> bool:
    """False: the disk has no room for the log's index, and the connection is to be closed."""
    try:
        sql.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != NO_ROOM_FOR_INDEX:
            raise
        return False
    return True


def _have_to_oneself(sql: sqlite3.Connection) -> None:
    """With the first access: then the log's index is in memory. https://sqlite.org/wal.html#noshm"""
    sql.execute("PRAGMA locking_mode = EXCLUSIVE")


def _remove_index(path: str) -> None:
    """What there was room for of it, and nobody uses: whoever has the store to themselves may."""
    with suppress(OSError):
        os.unlink(f"{path}-shm")


def to_read(path: Path, *, for_long: bool = False) -> sqlite3.Connection:
    """The database of this file, only to be read, whether or not a node runs.

    `for_long`: a node may start meanwhile, and is heeded. On a disk without room for the log's
    index nobody else reads meanwhile, nor does a node start, and a log that was left may be gone
    afterwards. Raises sqlite3.Error; DiskFull, and TemporaryFailure when another program has it to
    itself."""
    may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    how = "mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():  # nobody has it open
        # Either a log is made beside it, which others see, and taken away again; or it is read as a
        # file like any other.
        how = "mode=rw" if for_long and may_write else "mode=ro&immutable=1"
    wait = PATIENCE_SECONDS_LONG if for_long else PATIENCE_SECONDS
    sql = _reader(path, how, wait)
    refusal = _refusal(sql)
    if refusal and refusal.sqlite_errorcode == NO_ROOM_FOR_INDEX and may_write:
        sql.close()
        sql = _reader(path, "mode=rw", wait)
        _have_to_oneself(sql)
        refusal = _refusal(sql)
        if not refusal:
            _remove_index(str(path))
    if refusal:
        sql.close()
        raise in_words(refusal) from refusal
    return sql


def _reader(path: Path, how: str, wait: float) -> sqlite3.Connection:
    address = f"file:{quote(str(path))}?{how}"
    sql = sqlite3.connect(address, wait, uri=True, isolation_level=None)
    sql.execute("PRAGMA query_only = ON")
    return sql


def _refusal(sql: sqlite3.Connection) -> sqlite3.DatabaseError | None:
    """Why nothing can be read now; damage is for whoever reads that."""
    try:
        sql.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, NO_ROOM_FOR_INDEX):
            return error
    return None


def _close_to_others(path: str) -> None:
    """Make the file when there is none; SQLite gives its mode to the log and the index."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    os.chmod(path, 0o600)


def _cannot_open(path: str, error: Exception) -> Exception:
    if isinstance(error, OSError) and isinstance(in_words(error), DiskFull):
        return in_words(error)
    return ConfigurationError(
        f"The store {path} cannot be read ({error}). Restore it from a backup, or move the "
        "folder away and run `postroad setup` with your 24 words."
    )


def migrate(sql: sqlite3.Connection) -> None:
    """Apply the migrations that are missing, each in one transaction."""
    applied = sql.execute("PRAGMA user_version").fetchone()[0]
    if applied > len(MIGRATIONS):
        raise ConfigurationError(
            f"The store was written by a newer Postroad (format {applied}, this one knows "
            f"{len(MIGRATIONS)}). Install the newer version again."
        )
    for number, migration in enumerate(MIGRATIONS[applied:], applied + 1):
        sql.executescript(f"BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {number}; COMMIT;")
    if applied < len(MIGRATIONS):
        # The head of the file tells it, too, to an older package that must not take our place.
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
