"""Make a node again from the folder of a backup and the 24 words.

Purpose: `postroad setup --restore FOLDER`. Files first, then the database, the keys last.
Invariants: nothing that is there is written over; whoever is interrupted starts the same again and
it goes on; a restored node has a device key of its own, for the old computer may still run.
See: docs/adr/0023-backup.md.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from postroad.app import backing_up, durable, setting_up
from postroad.app import config as configuration
from postroad.app.backing_up import Seen
from postroad.app.backup_folder import Folder
from postroad.app.config import Config
from postroad.app.setting_up import DRAFT, ENDS, RESTORING, Means, has_begun
from postroad.base.errors import ConfigurationError, DiskFull
from postroad.base.ids import Fingerprint
from postroad.base.seams import Clock, Entropy
from postroad.machine.disk import FolderDisk
from postroad.message.address import Address
from postroad.sealing.backup import BackupDamaged, Sealer, mail_key, mark
from postroad.sealing.keys import Identity
from postroad.store import backup_format as form
from postroad.store import keyring, snapshot
from postroad.store.backup_format import Catalogue
from postroad.store.database import FILE_NAME

LOST_TOLD_MAX = 3


@dataclass(frozen=True, slots=True)
class Source:
    """The folder of a backup, and whose words open it. `incomplete`: whether its owner does without
    the letters that cannot be read from it."""

    path: Path
    identity: Identity = field(repr=False)
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """`missing`: what of the mail could not be read, in words."""

    address: Address
    config: Config
    made_at: int
    messages: int
    missing: list[str]


@contextmanager
def restored(
    path: Path, config: Config, source: Source, means: Means, seen: Seen = lambda *_: None
) -> Iterator[Restored]:
    """Restore this backup; `path` is the configuration's, as in `setting_up.set_up`. It counts when
    this is left without an error. Raises ConfigurationError in words."""
    os.umask(0o077)
    identity = source.identity
    folder = Folder(source.path, Sealer(mail_key(identity)), mark(identity))
    with ExitStack() as stack:
        stack.enter_context(folder.reading())  # no backup into it removes what we read
        catalogue = backing_up.expect(folder)
        folder.look()
        keys = _keys(catalogue, identity, means)
        disk = stack.enter_context(closing(setting_up.folder_of(config)))
        with _in_words(disk):
            _expect_room(disk, mark(identity), config.control_path)
            restoring = _Restoring(disk, folder, catalogue, seen)
            missing = restoring.files()
            restoring.database(identity.public.fingerprint, means.clock, means.entropy)
            lost = _in_mail(Path(disk.folder) / FILE_NAME, missing, set(catalogue.files))
        if lost and not source.incomplete:
            raise ConfigurationError(_refusal(source.path, lost))
        chosen = setting_up.with_free_ports(_with_ports(config, path, catalogue), path, means.held)
        with setting_up.writing_keys(disk):
            draft = keyring.draft(disk, keys, means.wrapping())
        with closing(draft):
            configuration.write(path, chosen)
            head = catalogue.head
            yield Restored(keys.address, chosen, head.made_at, head.messages, lost)
            with setting_up.writing_keys(disk):
                keyring.keep(disk, draft)
        with suppress(ConfigurationError):  # the node will do it when it starts
            setting_up.end_restoration(disk)


def _keys(catalogue: Catalogue, identity: Identity, means: Means) -> keyring.Keyring:
    """Those of a new device."""
    sealed = catalogue.head.keys
    try:
        return keyring.restored(sealed, identity, means.entropy, means.clock.now())
    except BackupDamaged as error:
        raise ConfigurationError(
            f"The keys in the backup are damaged ({error}). Set up without it, with your 24 words: "
            "postroad setup --restore"
        ) from error


@contextmanager
def _in_words(disk: FolderDisk) -> Iterator[None]:
    try:
        yield
    except (OSError, DiskFull) as error:
        why = error.strerror if isinstance(error, OSError) else "the disk is full"
        raise ConfigurationError(
            f"Your mail cannot be written to {disk.folder} ({why}). Make room there, or mend that, "
            "then type the same again: it goes on where it was. To have it elsewhere: --data"
        ) from error


def _expect_room(disk: FolderDisk, mine: bytes, control: Path) -> None:
    """Refuse to restore over a store; one that a killed restoration of the same mail began, and no
    node has opened, goes on."""
    setting_up.expect_none(disk, control)
    names = disk.names("")
    if FILE_NAME in names and not (has_begun(disk, mine) and not _was_opened(disk)):
        raise ConfigurationError(
            f"There is a store in {disk.folder} already, and nothing is written over it. Move that "
            "folder away, or choose another one with --data."
        )
    disk.write(RESTORING, mine)


def _was_opened(disk: FolderDisk) -> bool:
    """A node keeps a log beside its database from the first moment on, and the database says so."""
    if FILE_NAME + "-wal" in disk.names(""):
        return True
    with disk.open(FILE_NAME) as file:
        return not snapshot.is_settled(file.read(snapshot.HEAD_BYTES))


def _in_mail(database: Path, missing: set[str], backed_up: set[str]) -> list[str]:
    """What is lost with these files, and with those that could not be backed up, in words."""
    missing = missing | snapshot.files_named(database).keys() - backed_up
    found = snapshot.letters_in(database, missing)
    others = missing - found.files
    filed = sum(one.startswith("bodies/") for one in others)
    lost = list(found.told)
    if filed:
        lost.append(f"{filed} other large letters")
    if len(others) > filed:
        lost.append(f"{len(others) - filed} sealed letters on their way")
    return lost


def _refusal(folder: Path, lost: list[str]) -> str:
    some = ", ".join(lost[:LOST_TOLD_MAX]) + (", ..." if len(lost) > LOST_TOLD_MAX else "")
    return (
        f"These cannot be read from {folder}: {some}. You are not set up yet. If you have another "
        "copy of that folder, type the same with that one, and it goes on; to do without them, "
        "type the same again with --incomplete."
    )


def _with_ports(config: Config, path: Path, catalogue: Catalogue) -> Config:
    """With the ports that the mail programs know, unless the owner has a configuration here."""
    head = catalogue.head
    if path.exists() or not head.smtp_port or not head.imap_port:
        return config
    return replace(
        config, smtp_port=head.smtp_port, imap_port=head.imap_port, pop3_port=head.pop3_port
    )


class _Restoring:
    """One restoration on its way."""

    def __init__(self, disk: FolderDisk, folder: Folder, catalogue: Catalogue, seen: Seen) -> None:
        self._disk = disk
        self._folder = folder
        self._catalogue = catalogue
        self._seen = seen
        self._total = sum(file.size for file, _ in catalogue.files.values())
        self._done = 0

    def files(self) -> set[str]:
        """Put all letters there that have files of their own; the names of those that are lost."""
        lost = set()
        for name, (file, _) in self._catalogue.files.items():
            if name == form.DATABASE:
                continue
            if self._is_there(name, file.sha256):
                self._tell(file.size)
            elif not self._put(name, file.sha256):
                lost.add(name)
        return lost

    def _is_there(self, name: str, wanted: bytes) -> bool:
        digest = hashlib.sha256()
        try:
            with self._disk.open(name) as file:
                while octets := file.read(1 << 20):
                    digest.update(octets)
        except FileNotFoundError:
            return False
        return digest.digest() == wanted

    def _put(self, name: str, wanted: bytes) -> bool:
        digest = hashlib.sha256()
        with closing(self._disk.spool()) as spool:
            for block in backing_up.octets_of(self._folder, self._catalogue, name):
                if block is None:
                    return False
                digest.update(block)
                spool.write(block)
                self._tell(len(block))
            if digest.digest() != wanted:
                return False
            self._disk.keep(spool, name)
        return True

    def database(self, mine: Fingerprint, clock: Clock, entropy: Entropy) -> None:
        """Put the database there, ready for its new life."""
        folder = Path(self._disk.folder)
        draft, path = folder / DRAFT, folder / FILE_NAME
        for old in (draft, path):  # a killed restoration's: nobody has used it yet
            for end in ENDS:
                old.with_name(old.name + end).unlink(missing_ok=True)
        missing = 0
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            for block in backing_up.octets_of(self._folder, self._catalogue, form.DATABASE):
                missing += block is None
                file.write(block or bytes(form.BLOCK_BYTES))
                self._tell(form.BLOCK_BYTES)
            file.truncate(self._catalogue.files[form.DATABASE][0].size)
        if missing and (fault := snapshot.fault(draft)):
            draft.unlink()
            raise ConfigurationError(
                f"{missing} blocks of the database are damaged in {self._folder.path} ({fault}). "
                "Try another copy of that folder."
            )
        snapshot.settle(draft, mine, clock.now(), self._catalogue.head.made_at, entropy)
        draft.replace(path)
        durable.sync(folder)

    def _tell(self, octets: int) -> None:
        self._done += octets
        self._seen(min(self._done, self._total), self._total)
