"""The folder of a backup on the disk: written so that a crash at any point leaves the last one.

Purpose: open it, read its blocks, add packs, and put a new catalogue in the old one's place.
Invariants: a catalogue gets its name when all that it names is durable; a pack goes only after no
catalogue on the disk names it; the catalogue is there twice, so that no one flipped bit loses all.
Only names of our own making are written or removed, and no link is followed to them: the folder is
on a disk that others may have had.
More than 400 lines: what is written and what is read back are seen side by side.
See: docs/backup.md.
"""

import errno
import os
import re
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from postroad.app import durable
from postroad.app.durable import NoPlainFile, OpenFolder
from postroad.base.errors import ConfigurationError
from postroad.sealing.backup import NAME_BYTES, BackupDamaged, Sealer
from postroad.store import backup_format as form
from postroad.store.backup_format import Catalogue, Place

T = TypeVar("T")
LOCK = ".lock"
DOUBTS = "damaged"  # names of blocks that `check` found damaged, a line each
DOUBTS_MAX = 100_000
CATALOGUES = (form.CATALOGUE, form.CATALOGUE_COPY)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SMALL_BYTES = 4 << 20  # a pack of less
SMALL_MAX = 32  # of them, before they are gathered
_PACK = re.compile(r"[0-9a-f]{32}", re.ASCII)
# What stands in a new disk's own folder, or a desktop puts into any.
_NOBODYS = re.compile(r"\..*|lost\+found|System Volume Information", re.DOTALL)


class NoBackup(ConfigurationError):
    """There is none in this folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"There is no backup in {path}. Is the right disk plugged in? To make one, type: "
            f"postroad backup to {shlex.quote(str(path))}"
        )


class Folder:
    """A folder with a backup, or one that shall have it. `sealer` opens it."""

    def __init__(self, path: Path, sealer: Sealer, mark: bytes) -> None:
        self.path = path
        self._sealer = sealer
        self._mark = mark
        self._packs = path / form.PACKS
        self._places: dict[bytes, tuple[str, Place]] = {}
        # Where a block stands, too: what is damaged was written anew, and the old is not gone yet.
        self._others: dict[bytes, list[tuple[str, Place]]] = {}
        self._sound: set[bytes] = set()  # that were opened
        self.rotten: set[str] = set()  # packs in which a block was found damaged
        self.damaged_packs: list[str] = []
        self.first_is_damaged = False

    def catalogue(self) -> Catalogue | None:
        """The newest one that can be read; None when there is none at all.

        ConfigurationError in words when there is one, of somebody else, or damaged."""
        marks = set()
        found = None
        for name in CATALOGUES:
            octets = self._read_whole(name)
            if octets is None:
                self.first_is_damaged |= name == form.CATALOGUE
                continue
            try:
                marks.add(form.mark_of(octets))
                found = form.read_catalogue(self._sealer, octets)
                break
            except BackupDamaged:
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

    def catalogues(self) -> Iterator[Catalogue]:
        """All that can be read."""
        for name in CATALOGUES:
            with suppress(BackupDamaged):
                octets = self._read_whole(name)
                if octets is not None:
                    yield form.read_catalogue(self._sealer, octets)

    def _read_whole(self, name: str) -> bytes | None:
        try:
            with durable.read_plain(self.path / name) as file:
                return file.read(form.catalogue_bytes_max(self._packs_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EIO and name == form.CATALOGUE:
                return b""  # a bad place of the disk: it is damaged if the copy can be read
            raise in_words(self.path, error) from error

    def _packs_bytes(self) -> int:
        """Of all packs, of each no more than one may have."""
        total = 0
        for name in self.packs():
            with suppress(FileNotFoundError):  # a writer may remove it just now
                total += min(os.lstat(self._packs / name).st_size, form.PACK_BYTES_MAX)
        return total

    def look(self) -> None:
        """Find out which blocks there are."""
        self._places, self._others, self.damaged_packs = {}, {}, []
        for name in self.packs():
            try:
                index, length = self._reading(partial(self._index, name))
            except BackupDamaged:
                self.damaged_packs.append(name)
                continue
            if any(place.offset + place.size > length for place in index.values()):
                self.damaged_packs.append(name)
            for block, place in index.items():
                if place.offset + place.size > length:
                    continue
                if block in self._places:
                    self._others.setdefault(block, []).append((name, place))
                else:
                    self._places[block] = (name, place)

    def _index(self, name: str) -> tuple[dict[bytes, Place], int]:
        with durable.read_plain(self._packs / name) as file:
            size = form.index_bytes(file.read(4))
            index = form.read_index(self._sealer, name, file.read(size))
            return index, os.fstat(file.fileno()).st_size

    def packs(self) -> list[str]:
        try:
            return sorted(filter(_PACK.fullmatch, os.listdir(self._packs)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise in_words(self.path, error) from error

    def has(self, block: bytes) -> bool:
        """Whether an index names it. It may be damaged all the same: see `is_sound`."""
        return block in self._places

    def is_sound(self, block: bytes) -> bool:
        """Whether it can be opened. One that cannot is forgotten, and so written anew."""
        if block not in self._sound:
            try:
                self.block(block)
            except BackupDamaged:
                self._places.pop(block, None)
                return False
            self._sound.add(block)
        return True

    def block(self, name: bytes) -> bytes:
        """The octets of this block; BackupDamaged when it is missing or damaged."""
        if name not in self._places:
            raise BackupDamaged("a block is missing")
        others = self._others.get(name, [])
        while True:
            pack, place = self._places[name]
            try:
                return self._reading(partial(self._open, name, pack, place))
            except BackupDamaged:
                self.rotten.add(pack)
                if not others:
                    raise
                self._places[name] = others.pop()

    def _open(self, name: bytes, pack: str, place: Place) -> bytes:
        with durable.read_plain(self._packs / pack) as file:
            file.seek(place.offset)
            return form.open_block(self._sealer, name, file.read(place.size))

    def _reading(self, read: Callable[[], T]) -> T:
        """What it reads; BackupDamaged where that is damaged. A medium that has gone, or does not
        answer for a moment, has damaged nothing: then ConfigurationError in words."""
        try:
            return read()
        except NoPlainFile as error:
            raise BackupDamaged("it is no plain file") from error
        except OSError as error:
            if error.errno != errno.EIO:
                raise in_words(self.path, error) from error
        self._expect_medium()
        try:
            return read()
        except OSError as error:
            if error.errno != errno.EIO:
                raise in_words(self.path, error) from error
            self._expect_medium()
            raise BackupDamaged(f"it cannot be read ({error.strerror})") from error

    def _expect_medium(self) -> None:
        """ConfigurationError in words unless the medium itself still answers: its catalogue is
        read from it, and not from memory."""
        try:
            with durable.read_plain(self._first_catalogue()) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                file.read(len(form.MAGIC))
        except OSError as error:
            raise in_words(self.path, error) from error

    def _first_catalogue(self) -> Path:
        path = self.path / form.CATALOGUE
        return path if path.exists() else self.path / form.CATALOGUE_COPY

    def sealed(self, name: bytes) -> bytes:
        """What stands in the pack, checked."""
        return form.seal_block(self._sealer, self.block(name))[1]

    def doubts(self) -> set[bytes]:
        """The blocks that a check found damaged since the last backup; none where that cannot be
        read: it is only what is worth a look."""
        try:
            with durable.read_plain(self.path / DOUBTS) as file:
                lines = file.read(DOUBTS_MAX * (2 * NAME_BYTES + 1)).split()
        except OSError:
            return set()
        found = set()
        for line in lines:
            with suppress(ValueError):  # somebody else's
                found.add(bytes.fromhex(line.decode("ascii", "replace")))
        return found

    def note_doubts(self, damaged: set[bytes]) -> bool:
        """Have the next backup look at these, and write anew what is damaged; whether it will."""
        if len(damaged) > DOUBTS_MAX:
            return False
        lines = "".join(f"{name.hex()}\n" for name in sorted(damaged))
        try:
            durable.write(self.path / DOUBTS, lines.encode())
        except OSError:  # full, or only to be read
            return False
        return True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While within, nobody writes to it. ConfigurationError in words when somebody does."""
        with ExitStack() as stack:
            with suppress(OSError):  # a copy of the folder has none
                lock = stack.enter_context(durable.read_plain(self.path / LOCK))
                _lock(lock.fileno(), self.path, shared=True)
            yield

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Write to it; ConfigurationError in words when somebody else does, or it cannot be."""
        try:
            self._make()
            with OpenFolder(self.path) as root:
                self._expect_room_for_us(root)
                lock = root.open(LOCK, os.O_WRONLY | os.O_CREAT)
                try:
                    _lock(lock, self.path)
                    before = self.catalogue()  # now that it stays as it is
                    with root.folder(form.PACKS) as packs:
                        _remove_drafts(root)
                        _remove_drafts(packs)
                        root.sync()
                        self.look()
                        for block in list(self._others):  # a killed run has mended it
                            self.is_sound(block)
                        if before is None and self.damaged_packs:
                            raise self._not_empty(f"{form.PACKS}/{self.damaged_packs[0]}")
                        yield Writer(self, root, packs, before, self._sealer, self._mark)
                    root.expect_at_its_path()
                finally:
                    os.close(lock)
        except OSError as error:
            raise in_words(self.path, error) from error

    def _make(self) -> None:
        if not self.path.parent.is_dir():  # a disk that is not plugged in, or a slip
            raise ConfigurationError(
                f"There is no folder {self.path.parent}. Is the disk plugged in?"
            )
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            return
        durable.sync(self.path.parent)

    def _expect_room_for_us(self, root: OpenFolder) -> None:
        """Refuse a folder where something else is kept: its names might be like ours."""
        names = root.names()
        if any(name in names for name in CATALOGUES):
            return
        others = [name for name in names if not _NOBODYS.fullmatch(name) and name != form.PACKS]
        if not others:
            packs = os.listdir(self._packs) if form.PACKS in names else []
            others = [f"{form.PACKS}/{name}" for name in packs if not _is_pack_or_draft(name)]
        if others:
            raise self._not_empty(others[0])

    def _not_empty(self, name: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} is no backup, and not empty: there is {name}. Give the backup a folder "
            f"of its own: postroad backup to {shlex.quote(str(self.path / 'postroad'))}"
        )

    # For the writer

    def note_pack(self, name: str, index: dict[bytes, Place]) -> None:
        self._places.update({block: (name, place) for block, place in index.items()})
        self._sound.update(index)

    def forget_packs(self, names: Iterable[str]) -> None:
        gone = set(names)
        self._places = {one: at for one, at in self._places.items() if at[0] not in gone}
        self._others = {}  # whoever looks again finds them

    def pack_of(self, block: bytes) -> str:
        return self._places[block][0]

    def size_of(self, block: bytes) -> int:
        return self._places[block][1].size

    def named(self, catalogue: Catalogue) -> set[str]:
        """The packs that this catalogue needs."""
        return {self.pack_of(block) for block in catalogue.blocks() if self.has(block)}

    def packs_bytes(self) -> int:
        return self._packs_bytes()


class Writer:
    """Adds blocks, then a catalogue, then removes what nobody names any more.

    `before`: what the folder had when it was taken."""

    def __init__(
        self,
        folder: Folder,
        root: OpenFolder,
        packs: OpenFolder,
        before: Catalogue | None,
        sealer: Sealer,
        mark: bytes,
    ) -> None:
        self.before = before
        self._folder = folder
        self._root = root
        self._packs = packs
        self._sealer = sealer
        self._mark = mark
        self._pending: dict[bytes, bytes] = {}
        self._pending_bytes = 0
        self._used: set[str] = set()  # packs that what is added now stands in
        self.written_bytes = 0

    def add(self, block: bytes) -> bytes:
        """Have this block in the folder, sound, by the next `flush`; its name."""
        name, sealed = form.seal_block(self._sealer, block)
        if self._folder.has(name) and self._folder.is_sound(name):
            self._used.add(self._folder.pack_of(name))
        else:
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
        self._pending, self._pending_bytes = {}, 0
        self._write(self._packs, name, octets)
        self._folder.note_pack(name, index)
        self._used.add(name)

    def gather(self, catalogue: Catalogue) -> bool:
        """Write what is still wanted of packs that are damaged, mostly waste, or small and many,
        anew.

        False when some of it was found damaged: it is forgotten, and has to be added again."""
        self.flush()
        wanted: dict[str, list[bytes]] = {}
        for block in set(catalogue.blocks()):
            wanted.setdefault(self._folder.pack_of(block), []).append(block)
        small: list[list[bytes]] = []
        again: list[bytes] = []
        for pack, blocks in sorted(wanted.items()):
            used = sum(map(self._folder.size_of, blocks))
            if pack in self._folder.rotten or used < self._packs.size(pack) // 2:
                again += blocks
            elif used < SMALL_BYTES:
                small.append(blocks)
        if len(small) > SMALL_MAX:
            again += chain.from_iterable(small)
        is_sound = [self._folder.is_sound(block) for block in again]
        if not all(is_sound):
            return False
        for block in sorted(again):
            self._add_sealed(block, self._folder.sealed(block))
        self.flush()
        return True

    def keep(self, catalogue: Catalogue) -> None:
        """Put it in the old one's place; then remove what it does not name."""
        self.flush()
        self._packs.sync()  # what a killed run has renamed may have no durable name yet
        octets = form.write_catalogue(self._sealer, self._mark, catalogue)
        if len(octets) > form.catalogue_bytes_max(self._folder.packs_bytes()):
            raise ConfigurationError("Your mail is more than one backup can list.")
        for name in CATALOGUES:
            self._write(self._root, name, octets)
        self._remove_packs(self._folder.named(catalogue))
        self._packs.sync()  # what was damaged is gone before the doubts about it are
        self._root.remove(DOUBTS)

    def _write(self, folder: OpenFolder, name: str, octets: bytes) -> None:
        try:
            folder.write(name, octets)
        except OSError as error:
            if error.errno not in NO_ROOM or not self._make_room():
                raise
            folder.write(name, octets)
        self.written_bytes += len(octets)

    def _make_room(self) -> bool:
        """Remove what killed runs have left and nothing uses; whether there was any."""
        named = [self._folder.named(one) for one in self._folder.catalogues()]
        return self._remove_packs(self._used.union(*named))

    def _remove_packs(self, named: set[str]) -> bool:
        gone = [name for name in self._folder.packs() if name not in named]
        self._folder.forget_packs(gone)
        for name in gone:
            self._packs.remove(name)
        return bool(gone)


def _is_pack_or_draft(name: str) -> bool:
    return _PACK.fullmatch(durable.drafted_name(name) or name) is not None


def _remove_drafts(folder: OpenFolder) -> None:
    """A killed run's."""
    for name in folder.names():
        wanted = durable.drafted_name(name)
        if wanted in (*CATALOGUES, DOUBTS) or (wanted and _PACK.fullmatch(wanted)):
            folder.remove(name)


def _lock(handle: int, path: Path, *, shared: bool = False) -> None:
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"Another backup to {path} is being written just now. Try again when it is done."
            if shared
            else f"Another backup to {path} is being written, or read, just now. Try again later."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOSYS):
            raise


def in_words(path: Path, error: OSError) -> ConfigurationError:
    """What went wrong with the folder, and what to do."""
    if isinstance(error, NoPlainFile) or error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EISDIR):
        what = error.filename or "something in it"
        return ConfigurationError(
            f"{path} cannot be used: {what} is not what a backup has there. Choose another folder."
        )
    if error.errno in NO_ROOM:
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
