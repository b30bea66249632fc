"""First run: make the keys, choose ports that are free, write the configuration.

Purpose: leave a node ready to run, or nothing at all when it could not.
Invariant: the keys get their name only after the owner was shown what is shown once. Whoever is
interrupted before that is not set up, and starts anew; afterwards nobody could tell them.
Not promised: that the ports stay free. Users of one machine are kept apart only from programs that
listen while they set up; a node that finds its port taken later says which key to change.
"""

import os
import socket
from collections.abc import Callable, Container, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from postroad.app import config as configuration
from postroad.app import keeper
from postroad.app.config import Config
from postroad.base.errors import (
    ConfigurationError,
    DiskFull,
    Locked,
    NotToBeHad,
    PermanentFailure,
)
from postroad.base.seams import Clock, Entropy
from postroad.machine import listeners
from postroad.machine.disk import FolderDisk
from postroad.message.address import Address, is_name
from postroad.phrases import phrase
from postroad.protocol import starting
from postroad.sealing.backup import mark
from postroad.sealing.keys import Identity
from postroad.sealing.password import ENTROPY_BYTES, new_password, verifier
from postroad.sealing.wrapping import PLAIN, Wrapping
from postroad.store import keyring
from postroad.store.database import FILE_NAME

RESTORING = "restoring"  # a file of the data folder: whose restoration is under way
DRAFT = FILE_NAME + ".restoring"
ENDS = ("", "-wal", "-shm", "-journal")  # of the names of a database's files
SLOTS = 40  # how many users of one machine may have ports of their own


@dataclass(frozen=True, slots=True)
class SetUp:
    """What its owner has to see once: nothing of it is kept in words."""

    address: Address
    words: str = field(repr=False)
    password: str = field(repr=False)
    config: Config


@dataclass(frozen=True, slots=True)
class Means:
    """What a set-up is made with. `wrapping` makes what its keys are wrapped in; `held`: ports that
    systemd holds for this user's own node, which are as good as free."""

    clock: Clock
    entropy: Entropy
    wrapping: Callable[[], Wrapping] = lambda: PLAIN
    held: Container[int] = ()


@contextmanager
def set_up(
    path: Path, config: Config, name: str, identity: Identity, means: Means
) -> Iterator[SetUp]:
    """Make this device one of that identity, new or not; show it, then leave.

    It counts when this is left without an error. Raises ConfigurationError or PermanentFailure with
    a sentence, both at the beginning and at the end."""
    if not is_name(name):
        raise PermanentFailure(
            phrase(
                "{name} cannot be part of an address: use 1 to 31 of a-z, 0-9, - and _.",
                name=repr(name),
            )
        )
    os.umask(0o077)
    entropy = means.entropy
    password = new_password(entropy.token(ENTROPY_BYTES))
    with closing(folder_of(config)) as disk:
        expect_none(disk, config.control_path)
        _expect_nobodys_mail(disk, mark(identity))
        keys = keyring.new_keyring(
            name, identity, verifier(password, entropy.token(16)), entropy, means.clock.now()
        )
        chosen = with_free_ports(config, path, means.held)
        with writing_keys(disk):
            draft = keyring.draft(disk, keys, means.wrapping())
        with closing(draft):
            configuration.write(path, chosen)
            yield SetUp(keys.address, identity.words, password, chosen)
            with writing_keys(disk):
                end_restoration(disk)
                keyring.keep(disk, draft)


def end_restoration(disk: FolderDisk) -> None:
    """A restoration that was begun here and broken off is gone on with no more: whoever has keys
    may have new mail in the store, which a later one must not take for its own half-made one."""
    names = disk.names("")
    try:
        for name in (RESTORING, *(DRAFT + end for end in ENDS)):
            if name in names:
                disk.remove_durably(name)
    except OSError as error:
        raise ConfigurationError(
            f"{disk.folder} cannot be written ({error.strerror}). Mend that, then try again."
        ) from error


def expect_none(disk: FolderDisk, control: Path) -> None:
    """Raise ConfigurationError when somebody is set up here. `control`: the socket of their node,
    which tells how it is started."""
    if keyring.exists(disk):
        raise ConfigurationError(
            f"You are set up already{_address(disk)}, in {disk.folder}. "
            f"Start your node with: {starting.start(keeper.of(control))}"
        )


def _expect_nobodys_mail(disk: FolderDisk, mine: bytes) -> None:
    """Refuse to go on with the store that a restoration for somebody else has left."""
    names = disk.names("")
    if RESTORING in names and FILE_NAME in names and not has_begun(disk, mine):
        raise ConfigurationError(
            f"A restoration was begun in {disk.folder} and not ended: the mail there is of other "
            "24 words. Go on with it (postroad setup --restore FOLDER), or move that folder away, "
            "or choose another one with --data."
        )


def has_begun(disk: FolderDisk, mine: bytes) -> bool:
    """Whether a restoration for whom this marks was begun here, and has not ended."""
    try:
        with disk.open(RESTORING) as file:
            return file.read(len(mine) + 1) == mine
    except FileNotFoundError:
        return False


def _address(disk: FolderDisk) -> str:
    try:
        return f", as {keyring.load(disk).address}"
    except Locked:
        return ""


@contextmanager
def writing_keys(disk: FolderDisk) -> Iterator[None]:
    try:
        yield
    except (OSError, DiskFull) as error:
        raise ConfigurationError(
            f"The keys cannot be written to {disk.folder} ({error}). You are not set up: whatever "
            "was shown counts for nothing. Mend that, then set up again."
        ) from error


def folder_of(config: Config) -> FolderDisk:
    try:
        return FolderDisk(config.data)
    except NotToBeHad as error:
        if _is_set_up(config):
            raise ConfigurationError(f"You are set up already. {error}") from error
        raise ConfigurationError(f"{error} Choose another one with --data.") from error


def _is_set_up(config: Config) -> bool:
    try:
        return config.is_set_up
    except ConfigurationError:  # nobody can tell: the folder itself is what is wrong
        return False


def with_free_ports(config: Config, path: Path, held: Container[int] = ()) -> Config:
    """The same with the first slot of ports that nobody listens on just now."""
    for slot in range(SLOTS):
        moved = replace(
            config,
            smtp_port=config.smtp_port + slot if config.smtp_port else 0,
            imap_port=config.imap_port + slot if config.imap_port else 0,
            pop3_port=config.pop3_port + slot if config.pop3_port else 0,
            peer_port=config.peer_port + slot if config.peer_port else 0,
        )
        if _is_free(moved, held):
            return moved
    raise ConfigurationError(
        "No ports are free for smtp_port, imap_port, pop3_port and peer_port, from those of the "
        f"configuration on. Choose others in {path}."
    )


def _is_free(config: Config, held: Container[int]) -> bool:
    wanted = (
        ("127.0.0.1", config.smtp_port, socket.SOCK_STREAM),
        ("127.0.0.1", config.imap_port, socket.SOCK_STREAM),
        ("127.0.0.1", config.pop3_port, socket.SOCK_STREAM),
        ("0.0.0.0", config.peer_port, socket.SOCK_STREAM),  # noqa: S104  (a test, not a door)
        ("0.0.0.0", config.peer_port, socket.SOCK_DGRAM),  # noqa: S104
    )
    try:
        for host, port, kind in wanted:
            if port in held:
                continue
            listeners.bind(host, port, kind).close()
    except NotToBeHad:
        return False
    return True
