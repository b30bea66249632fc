"""Write the mail of this node into the folder of a backup, and check what stands there.

Purpose: `postroad backup`, in the owner's own process, beside the node or without one. The node is
asked for two things that are sealed or derived for this (`doors/backup.py`); the mail itself is
read as any other reader of the store does, so that the node is not held up.
Invariants: what a backup holds was there at one moment; the backup of before is whole until the
new one is durable.
See: docs/adr/0023-backup.md, docs/backup.md.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from postroad import __version__
from postroad.app import durable
from postroad.app.asking import NotRunning, ask
from postroad.app.backup_folder import Folder, NoBackup, Writer
from postroad.app.config import Config
from postroad.app.keys_cli import Passphrases, locksmith_of, opener_here, with_folder
from postroad.base import limits
from postroad.base.errors import (
    ConfigurationError,
    NotSetUp,
    PostroadError,
    TemporaryFailure,
)
from postroad.base.ids import Instant
from postroad.sealing.backup import BackupDamaged, Sealer
from postroad.sealing.wrapping import Protection
from postroad.store import backup_format as form
from postroad.store import keyring, last_backup, snapshot
from postroad.store.backup_format import Catalogue, File, Head
from postroad.store.last_backup import LastBackup

if TYPE_CHECKING:
    from postroad.machine.disk import FolderDisk

SPOOL = "spool"  # of the data folder: what a node forgets when it starts
ROUNDS_MAX = 5
Seen = Callable[[int, int], None]
"""Hears how many octets are done, of how many."""


@dataclass(frozen=True, slots=True)
class Opener:
    """What a backup is written with. `kept`: the node's keys, sealed."""

    mark: bytes
    key: bytes = field(repr=False)
    kept: bytes = field(repr=False)
    running: bool

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.key)


def opener(config: Config, json_wanted: bool) -> Opener:
    """From the node that runs, or from its keys; NotSetUp or Locked when there is none."""
    try:
        said = ask(config.control_path, do="backup keys")
        mark, key, kept = (bytes.fromhex(said[one]) for one in ("mark", "key", "kept"))
        return Opener(mark, key, kept, running=True)
    except NotRunning:
        if not config.is_set_up:
            raise NotSetUp from None

    def look(disk: "FolderDisk") -> keyring.Keyring:
        wrapped = keyring.stored(disk)
        passphrase = ""
        if wrapped.protection is Protection.PASSPHRASE:
            passphrase = Passphrases(json_wanted).current()
        return keyring.load(disk, opener_here(locksmith_of(config), disk, passphrase))

    from postroad.sealing import backup

    keys = with_folder(config, look)
    identity = keys.identity
    return Opener(
        backup.mark(identity), backup.mail_key(identity), keyring.for_backup(keys), running=False
    )


def back_up(
    config: Config, path: Path, using: Opener, now: Instant, seen: Seen = lambda *_: None
) -> dict[str, Any]:
    """Make the backup in this folder one of the mail as it is now."""
    folder = Folder(path, using.sealer, using.mark)
    with folder.writing() as writer:
        before = writer.before
        for block in folder.doubts():
            folder.is_sound(block)
        copying = _Copying(config, folder, writer, seen)
        while True:
            files, messages, lost = copying.all()
            head = Head(
                1 if before is None else before.head.count + 1,
                int(now),
                f"postroad {__version__}",
                messages,
                config.smtp_port,
                config.imap_port,
                using.kept,
                config.pop3_port,
            )
            catalogue = Catalogue(head, files)
            if writer.gather(catalogue):
                break
        writer.keep(catalogue)
        same_disk = path.stat().st_dev == config.data.stat().st_dev
    answer = {
        "folder": str(path),
        "number": head.count,
        "made_at": head.made_at,
        "messages": messages,
        "total_bytes": sum(file.size for file, _ in files.values()),
        "written_bytes": writer.written_bytes,
        "missing": lost,
        "same_disk": same_disk,
    }
    _note(config, using, answer)
    return answer


class _Copying:
    """One backup on its way into the folder."""

    def __init__(self, config: Config, folder: Folder, writer: Writer, seen: Seen) -> None:
        self._data = config.data
        self._reserve_bytes = round(config.reserve_mib * limits.MIB)
        self._folder = folder
        self._writer = writer
        before = writer.before
        self._known = {} if before is None else dict(before.files)
        self._seen = seen

    def all(self) -> tuple[dict[str, tuple[File, tuple[bytes, ...]]], int, list[str]]:
        """The files as they were at one moment, how many messages they are, and what is missing.

        A letter that is deleted while we copy may take its file along: then the moment is another
        one. What is missing twice is lost, and was so before."""
        missed: list[str] = []
        for _ in range(ROUNDS_MAX):
            with (
                snapshot.taken(self._data, self._reserve_bytes) as copy,
                _source(copy) as file,
            ):
                self._expect_whole(copy)
                wanted = snapshot.files_named(copy)
                size = _size(file)
                new = [name for name, octets in wanted.items() if not self._has(name, octets)]
                total = size + sum(wanted[name] for name in new)
                done = 0

                def told(octets: int, total: int = total) -> None:
                    nonlocal done
                    done += octets
                    self._seen(done, total)

                files = {form.DATABASE: self._add(form.DATABASE, file, size, told)}
                lost = [name for name in new if not self._take(name, told)]
                files |= {name: self._known[name] for name in wanted if name in self._known}
                if not lost or lost == missed:
                    return files, snapshot.messages(copy), lost
                missed = lost
        raise ConfigurationError("Your mail changes too fast just now. Try again.")

    def _expect_whole(self, copy: Path) -> None:
        """A damaged store does not take the place of a backup that may be whole."""
        if self._writer.before is None:
            return
        fault = snapshot.fault(copy)
        if fault:
            raise ConfigurationError(
                f"The store is damaged ({fault}), and the backup of before stays as it is. Look "
                "with: postroad store check. To keep what is there, back up to another folder."
            )

    def _has(self, name: str, size: int) -> bool:
        """Whether this file, which never changes, is in the folder already."""
        known = self._known.get(name)
        return known is not None and known[0].size == size and all(map(self._folder.has, known[1]))

    def _take(self, name: str, told: Callable[[int], None]) -> bool:
        self._known.pop(name, None)
        try:
            with _source(self._data / name) as file:
                found = self._add(name, file, _size(file), told)
        except _CannotRead:
            return False
        if not _is_as_named(found[0]):  # it has rotted, and would be called whole from now on
            return False
        self._known[name] = found
        return True

    def _add(
        self, name: str, file: BinaryIO, size: int, told: Callable[[int], None]
    ) -> tuple[File, tuple[bytes, ...]]:
        digest, names = hashlib.sha256(), []
        file.seek(0)
        while block := _read(file):
            digest.update(block)
            names.append(self._writer.add(block))
            told(len(block))
        return File(name, size, digest.digest()), tuple(names)


def _is_as_named(file: File) -> bool:
    """Whether a letter is what was stored: it is called by the hash of its octets."""
    return file.name.rpartition("/")[2] == file.sha256.hex()


class _CannotRead(TemporaryFailure):
    """What is to be copied; what the copy is written to fails in words of its own."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"Your mail itself cannot be read ({error}). See: postroad store check")


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _CannotRead(error) from error
    with file:
        yield file


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(form.BLOCK_BYTES)
    except OSError as error:
        raise _CannotRead(error) from error


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _note(config: Config, using: Opener, answer: dict[str, Any]) -> None:
    """For `postroad backup`, and the audit log. What fails here undoes no backup."""
    last = LastBackup(answer["folder"], answer["made_at"], answer["number"], answer["messages"])
    with suppress(OSError):
        durable.write(config.data / last_backup.NAME, last_backup.written(last))
    if using.running:
        with suppress(PostroadError):
            ask(config.control_path, do="backup written")


def last_one(config: Config) -> dict[str, Any] | None:
    """When the last backup was, and where; None when there was none, as far as is known."""
    try:
        found = last_backup.read((config.data / last_backup.NAME).read_bytes())
    except OSError:
        return None
    return None if found is None else asdict(found)


def check(
    path: Path,
    sealer: Sealer,
    mark: bytes,
    seen: Seen = lambda *_: None,
    data: Path | None = None,
) -> dict[str, Any]:
    """Read all of the backup in this folder, and tell what is not as it was written. `data`: the
    data folder, when there is one.

    The next backup into it hears of what was found (`mends`), if the folder can be written."""
    folder = Folder(path, sealer, mark)
    with folder.reading():
        catalogue = expect(folder)
        folder.look()
        total = sum(file.size for file, _ in catalogue.files.values())
        done = 0

        def is_sound(block: bytes) -> bool:
            nonlocal done
            done = min(done + form.BLOCK_BYTES, total)
            seen(done, total)
            return folder.is_sound(block)

        damaged: list[str] = []
        bad: set[bytes] = set()
        for name, (_, blocks) in catalogue.files.items():
            missing = {block for block in blocks if not is_sound(block)}
            bad |= missing
            if missing:
                damaged.append(name)
        lost = _letters(folder, catalogue, set(damaged), data)
    return {
        "folder": str(path),
        "number": catalogue.head.count,
        "made_at": catalogue.head.made_at,
        "messages": catalogue.head.messages,
        "total_bytes": total,
        "database_is_whole": form.DATABASE not in damaged,
        "damaged_files": [name for name in damaged if name != form.DATABASE],
        "letters": lost,
        "catalogue_is_whole": not folder.first_is_damaged,
        "whole": not damaged and not folder.first_is_damaged,
        "mends": not bad or folder.note_doubts(bad),
    }


def expect(folder: Folder) -> Catalogue:
    """What is in the backup; NoBackup when there is none."""
    found = folder.catalogue()
    if found is None:
        raise NoBackup(folder.path)
    return found


def octets_of(folder: Folder, catalogue: Catalogue, name: str) -> Iterator[bytes | None]:
    """The blocks of a file in their order; None for one that is missing or damaged."""
    for block in catalogue.files[name][1]:
        try:
            yield folder.block(block)
        except BackupDamaged:
            yield None


def _letters(
    folder: Folder, catalogue: Catalogue, damaged: set[str], data: Path | None
) -> list[str]:
    """Which messages stand in those files, as far as the backup's database can tell.

    It is put together in a file where the mail itself lies, for it may be large, and nobody else
    shall find it; a node that starts removes what a killed check left there. Where there is no such
    place, none is named."""
    if data is None or not damaged - {form.DATABASE}:
        return []
    size = catalogue.files[form.DATABASE][0].size
    try:
        found = os.statvfs(data)
        if found.f_bavail * found.f_frsize < size + limits.DISK_RESERVE_BYTES:
            return []
        with tempfile.NamedTemporaryFile(dir=data / SPOOL) as copy:
            for block in octets_of(folder, catalogue, form.DATABASE):
                copy.write(block or bytes(form.BLOCK_BYTES))
            copy.truncate(size)
            copy.flush()
            return snapshot.letters_in(Path(copy.name), damaged).told
    except OSError:
        return []
