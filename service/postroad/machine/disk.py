"""One data folder on a real disk, and the one thread that writes to it.

Invariants: a kept file is whole and durable, and so is its name, before `keep` returns; nobody but
the owner can read what is written (`machine.privacy` looks at what is there already); two processes
never work in one folder.
"""

import asyncio
import errno
import fcntl
import io
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, TypeVar

from postroad.base import limits
from postroad.base.errors import DiskFull, NotToBeHad
from postroad.machine import privacy
from postroad.phrases import phrase

T = TypeVar("T")
FOLDERS = ("bodies", "sealed", "spool")
BLOT_BYTES_MAX = 1 << 20  # only small files hold keys
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FolderDisk:
    """`base.seams.Disk`. Takes the folder for this process until `close`.

    `mended`: what others could reach when we came, in words. Raises NotToBeHad when another node
    works in it, it cannot be used, or could not be kept from others."""

    def __init__(self, folder: Path, *, reserve_bytes: int = limits.DISK_RESERVE_BYTES) -> None:
        self._folder = folder.absolute()
        self.reserve_bytes = reserve_bytes
        try:
            self.mended = tuple(privacy.close_to_others(self._folder, FOLDERS))
            self._lock = _new_or_old(self._folder / "lock")
        except OSError as error:
            raise NotToBeHad(
                phrase(
                    "The data folder {folder} cannot be used ({why}).",
                    folder=self._folder,
                    why=error.strerror,
                )
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise NotToBeHad(
                phrase("Another Postroad already runs in {folder}.", folder=self._folder)
            ) from error
        for name in self.names("spool"):  # left by a crash: nothing refers to them
            self.remove(f"spool/{name}")
        self._thread = _Worker()

    @property
    def folder(self) -> str:
        return str(self._folder)

    async def run(self, work: Callable[[], T]) -> T:
        return await self._thread.run(work)

    def open(self, name: str) -> BinaryIO:
        return open(self._folder / name, "rb", opener=_no_link)

    def spool(self) -> BinaryIO:
        return _Spool(self._folder / "spool" / secrets.token_hex(16))

    def keep(self, spool: BinaryIO, name: str) -> None:
        try:
            spool.flush()
            os.fsync(spool.fileno())
            target = self._folder / name
            os.replace(spool.name, target)
            _fsync_folder(target.parent)
        except OSError as error:
            raise _in_words(error) from error
        finally:
            spool.close()

    def write(self, name: str, octets: bytes, *, blot: bool = False) -> None:
        old = _open_to_blot(self._folder / name) if blot else None
        try:
            spool = self.spool()
            try:
                spool.write(octets)
            except OSError as error:
                spool.close()
                raise _in_words(error) from error
            self.keep(spool, name)
            if old is not None:
                _blot(old)
        finally:
            if old is not None:
                os.close(old)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def remove_durably(self, name: str) -> None:
        """It is gone also after a power cut."""
        self.remove(name)
        _fsync_folder((self._folder / name).parent)

    def names(self, folder: str) -> Iterable[str]:
        try:
            return sorted(os.listdir(self._folder / folder))
        except FileNotFoundError:
            return ()

    def require_room(self, size: int) -> None:
        found = os.statvfs(self._folder)
        if found.f_bavail * found.f_frsize - size < self.reserve_bytes:
            raise DiskFull("The disk is almost full; nothing was lost. Make room, then try again.")

    def close(self) -> None:
        """Finish the thread's work and let others have the folder."""
        self._thread.close()
        self._lock.close()


class _Worker:
    """One thread that works in the order of the calls.

    An executor of the standard library does the same with two futures, a condition and a chain of
    callbacks for each piece of work: a tenth of what the event loop did for a letter."""

    def __init__(self) -> None:
        self._closed = False
        self._work: SimpleQueue[_Asked | None] = SimpleQueue()
        self._thread = Thread(target=self._live, name="database", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise RuntimeError("the data folder is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._work.put((work, done, loop))
        try:
            return await done
        finally:
            del done  # an error, its traceback, this frame and the future would keep one another

    def _live(self) -> None:
        while (asked := self._work.get()) is not None:
            _work(*asked)
            del asked  # it may hold on to a letter until the next one comes

    def close(self) -> None:
        """Finish what was asked for."""
        self._closed = True
        self._work.put(None)
        self._thread.join()


_Asked = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


def _work(
    work: Callable[[], Any], done: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop
) -> None:
    if done.cancelled():  # nobody waits any more, and it was not begun
        return
    answer: Any = None
    failed: BaseException | None = None
    try:
        answer = work()
    except StopIteration as error:  # a future refuses to carry it
        failed = RuntimeError(f"blocking work ended with {error!r}")
    except BaseException as error:
        failed = error
    with suppress(RuntimeError):  # the loop has ended: nobody is there to hear of it
        loop.call_soon_threadsafe(_settle, done, answer, failed)
    del failed, done  # the error's traceback holds this frame, and with it the whole letter


def _settle(done: "asyncio.Future[Any]", answer: Any, failed: BaseException | None) -> None:
    if done.cancelled():
        return
    if failed is not None:
        done.set_exception(failed)
    else:
        done.set_result(answer)


class _Spool(io.BufferedRandom):
    """A new file that is removed when it is closed, unless it was given a name by then."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        super().__init__(io.FileIO(handle, "r+"))
        self._path = path
        os.fchmod(handle, 0o600)  # whatever the umask left of it

    @property
    def name(self) -> str:
        return str(self._path)

    def close(self) -> None:
        if not self.closed:
            # It flushes, and may find the disk full; but what is kept was flushed before.
            with suppress(OSError):
                super().close()
            self.raw.close()
            self._path.unlink(missing_ok=True)


def _new_or_old(path: Path) -> BinaryIO:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(handle, 0o600)
    return open(handle, "r+b", buffering=0)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _open_to_blot(path: Path) -> int | None:
    with suppress(OSError):  # there is none, or whoever keeps the new one will hear of it
        return os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    return None


def _blot(old: int) -> None:
    """Write zeros over a file that has no name any more. The new one is durable: this may fail."""
    with suppress(OSError):
        found = os.fstat(old)
        if found.st_nlink == 0 and found.st_size <= BLOT_BYTES_MAX:  # else it is somebody's copy
            os.pwrite(old, bytes(found.st_size), 0)
            os.fsync(old)


def _in_words(error: OSError) -> Exception:
    if error.errno in NO_SPACE:
        return DiskFull("The disk is full; nothing was lost. Make room, then try again.")
    return error


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
