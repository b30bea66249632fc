"""The folder of a backup on the disk: written so that a crash at any point leaves the last one.

Purpose: open it, read its blocks, add packs, and put a new catalogue in the old one's place.
Invariants: a catalogue gets its name when all that it names is durable; a pack goes only after no
catalogue on the disk names it; the catalogue is there twice, so that no one flipped bit loses all.
See: docs/backup.md.
"""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from postroad.base.errors import ConfigurationError, PeerMisbehaved
from postroad.sealing.backup import Sealer
from postroad.store import backup_format as form
from postroad.store.backup_format import Catalogue, Place

DRAFT = ".part"
LOCK = ".lock"


class NoBackup(ConfigurationError):
    """There is none in this folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"There is no backup in {path}. Is the right disk plugged in? To make one, type: "
            f"postroad backup to {path}"
        )


class Folder:
    """A folder with a backup, or one that shall have it. `sealer` opens it."""

    def __init__(self, path: Path, sealer: Sealer, mark: bytes) -> None:
        self.path = path
        self._sealer = sealer
        self._mark = mark
        self._packs = path / form.PACKS
        self._places: dict[bytes, tuple[str, Place]] = {}
        self.damaged_packs: list[str] = []
        self.first_is_damaged = False

    def catalogue(self) -> Catalogue | None:
        """The newest one that can be read; None when there is none at all.

        ConfigurationError in words when there is one, of somebody else, or damaged."""
        marks = set()
        found = None
        for name in (form.CATALOGUE, form.CATALOGUE_COPY):
            octets = self._read_whole(name)
            if octets is None:
                self.first_is_damaged |= name == form.CATALOGUE
                continue
            try:
                marks.add(form.mark_of(octets))
                found = form.read_catalogue(self._sealer, octets)
                break
            except PeerMisbehaved:
                self.first_is_damaged = True
                marks.add(b"")
        if found is not None or not marks:
            self.first_is_damaged &= found is not None
            return found
        if self._mark not in marks and marks != {b""}:
            raise ConfigurationError(
                f"The backup in {self.path} is not yours: other 24 words open it. Check the words, "
                "or choose another folder."
            )
        raise ConfigurationError(
            f"The list of what the backup in {self.path} holds is damaged, and so is its copy. "
            "Make a backup in another folder while your mail is still here."
        )

    def _read_whole(self, name: str) -> bytes | None:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(form.CATALOGUE_BYTES_MAX)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise in_words(self.path, error) from error

    def look(self) -> None:
        """Find out which blocks there are."""
        self._places, self.damaged_packs = {}, []
        for name in self.packs():
            try:
                with (self._packs / name).open("rb") as file:
                    size = form.index_bytes(file.read(4))
                    index = form.read_index(self._sealer, name, file.read(size))
                    length = os.fstat(file.fileno()).st_size
            except (PeerMisbehaved, OSError):
                self.damaged_packs.append(name)
                continue
            if any(place.offset + place.size > length for place in index.values()):
                self.damaged_packs.append(name)
            for block, place in index.items():
                if place.offset + place.size <= length:
                    self._places[block] = (name, place)

    def packs(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._packs) if not name.endswith(DRAFT))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise in_words(self.path, error) from error

    def has(self, block: bytes) -> bool:
        return block in self._places

    def block(self, name: bytes) -> bytes:
        """The octets of this block; PeerMisbehaved when it is missing or damaged."""
        if name not in self._places:
            raise PeerMisbehaved("a block is missing")
        pack, place = self._places[name]
        try:
            with (self._packs / pack).open("rb") as file:
                file.seek(place.offset)
                return form.open_block(self._sealer, name, file.read(place.size))
        except OSError as error:
            raise PeerMisbehaved(f"a block cannot be read ({error.strerror})") from error

    def sealed(self, name: bytes) -> bytes:
        """What stands in the pack, checked."""
        return form.seal_block(self._sealer, self.block(name))[1]

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Write to it; ConfigurationError in words when somebody else does, or it cannot be."""
        try:
            if not self.path.parent.is_dir():  # a disk that is not plugged in, or a slip
                raise ConfigurationError(
                    f"There is no folder {self.path.parent}. Is the disk plugged in?"
                )
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._packs.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self.path / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise in_words(self.path, error) from error
        try:
            _lock(lock, self.path)
            for name in os.listdir(self._packs):  # a killed one's
                if name.endswith(DRAFT):
                    (self._packs / name).unlink()
            yield Writer(self, self._sealer, self._mark)
        except OSError as error:
            raise in_words(self.path, error) from error
        finally:
            os.close(lock)

    # For the writer

    def keep_pack(self, name: str, octets: bytes, index: dict[bytes, Place]) -> None:
        write_durably(self._packs / name, octets)
        self._places.update({block: (name, place) for block, place in index.items()})

    def pack_of(self, block: bytes) -> str:
        return self._places[block][0]

    def size_of(self, block: bytes) -> int:
        return self._places[block][1].size

    def pack_bytes(self, name: str) -> int:
        return (self._packs / name).stat().st_size

    def remove_pack(self, name: str) -> None:
        (self._packs / name).unlink(missing_ok=True)


class Writer:
    """Adds blocks, then a catalogue, then removes what nobody names any more."""

    def __init__(self, folder: Folder, sealer: Sealer, mark: bytes) -> None:
        self._folder = folder
        self._sealer = sealer
        self._mark = mark
        self._pending: dict[bytes, bytes] = {}
        self._pending_bytes = 0
        self.written_bytes = 0

    def add(self, block: bytes) -> bytes:
        """Have this block in the folder by the next `flush`; its name."""
        name, sealed = form.seal_block(self._sealer, block)
        if not self._folder.has(name):
            self._add_sealed(name, sealed)
        return name

    def _add_sealed(self, name: bytes, sealed: bytes) -> None:
        if name not in self._pending:
            self._pending[name] = sealed
            self._pending_bytes += len(sealed)
        if self._pending_bytes >= form.PACK_BYTES:
            self.flush()

    def flush(self) -> None:
        """All that was added is durable."""
        if not self._pending:
            return
        name = secrets.token_hex(16)
        octets = form.write_pack(self._sealer, name, list(self._pending.values()))
        size = form.index_bytes(octets[:4])
        index = form.read_index(self._sealer, name, octets[4 : 4 + size])
        self._folder.keep_pack(name, octets, index)
        self.written_bytes += len(octets)
        self._pending, self._pending_bytes = {}, 0

    def keep(self, catalogue: Catalogue) -> None:
        """Put it in the old one's place; then remove what it does not name."""
        self._gather(catalogue)
        self.flush()
        octets = form.write_catalogue(self._sealer, self._mark, catalogue)
        for name in (form.CATALOGUE, form.CATALOGUE_COPY):
            write_durably(self._folder.path / name, octets)
            self.written_bytes += len(octets)
        named = {self._folder.pack_of(block) for block in catalogue.blocks()}
        for name in self._folder.packs():
            if name not in named:
                self._folder.remove_pack(name)

    def _gather(self, catalogue: Catalogue) -> None:
        """Write what is still wanted of packs that are mostly waste, or small and many, anew."""
        wanted: dict[str, list[bytes]] = {}
        for block in set(catalogue.blocks()):
            if self._folder.has(block):
                wanted.setdefault(self._folder.pack_of(block), []).append(block)
        small = []
        for pack, blocks in sorted(wanted.items()):
            used = sum(map(self._folder.size_of, blocks))
            if used < self._folder.pack_bytes(pack) // 2:
                self._again(blocks)
            elif used < SMALL_BYTES:
                small.append(blocks)
        if len(small) > SMALL_MAX:
            for blocks in small:
                self._again(blocks)

    def _again(self, blocks: list[bytes]) -> None:
        for block in sorted(blocks):
            with suppress(PeerMisbehaved):  # it stays damaged where it is
                self._add_sealed(block, self._folder.sealed(block))


SMALL_BYTES = 4 << 20  # a pack of less
SMALL_MAX = 32  # of them, before they are gathered


def write_durably(path: Path, octets: bytes) -> None:
    """Whole and durable under its name, or as it was before; OSError."""
    draft = path.with_name(path.name + DRAFT)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(f"Another backup to {path} is being written just now.") from error
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOSYS):
            raise


Progress = Callable[[int], None]


def in_words(path: Path, error: OSError) -> ConfigurationError:
    """What went wrong with the folder, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ConfigurationError(
            f"There is no room left in {path}. The backup of before is whole. Make room, then "
            "type the same again: it goes on where it was."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ConfigurationError(
            f"{path} cannot be written ({error.strerror}). Choose a folder of your own, on a disk "
            "that may be written."
        )
    if error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ESTALE):
        return ConfigurationError(
            f"{path} has gone ({error.strerror}). Was the disk unplugged? Plug it in, then type "
            "the same again: the backup of before is whole."
        )
    return ConfigurationError(f"{path} cannot be used ({error.strerror}).")
