"""A data folder with mail in it, whose owner makes backups of it; no node runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from postroad.app import backing_up
from postroad.app import config as configuration
from postroad.app.backing_up import Opener, Seen
from postroad.app.backup_folder import Folder
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.sealing import backup
from postroad.sealing.keys import Identity
from postroad.store.contents import Contents
from postroad.store.database import connect


def opener(identity: Identity) -> Opener:
    """As the node of this identity gives it; its keys are not what is looked at here."""
    return Opener(backup.mark(identity), backup.mail_key(identity), b"kept keys", running=False)


class Mail:
    """One person's mail. `reserve_mib`: what a backup has to leave free beside it."""

    def __init__(self, data: Path, owner: int = 1, reserve_mib: float = 1.0) -> None:
        self.data = data
        self.using = opener(Identity(bytes([owner] * 32)))
        self.config = replace(
            configuration.default(), data=data, runtime=data / "run", reserve_mib=reserve_mib
        )
        add(data)

    def add(self, *letters: bytes) -> None:
        add(self.data, *letters)

    def back_up(self, path: Path, seen: Seen = lambda *_: None) -> dict[str, Any]:
        return backing_up.back_up(self.config, path, self.using, Instant(1_000.0), seen)

    def check(self, path: Path) -> dict[str, Any]:
        return backing_up.check(path, self.using.sealer, self.using.mark)

    def messages_in(self, path: Path) -> int:
        """How many messages the backup has, all of which was read and is as it was."""
        folder = Folder(path, self.using.sealer, self.using.mark)
        catalogue = backing_up.expect(folder)
        folder.look()
        for name, (file, _) in catalogue.files.items():
            digest = hashlib.sha256()
            for block in backing_up.octets_of(folder, catalogue, name):
                assert block is not None, name
                digest.update(block)
            assert digest.digest() == file.sha256, name
        return catalogue.head.messages


def add(data: Path, *letters: bytes) -> None:
    """Put these into the INBOX of the store in this folder, which is made if need be."""
    with closing(FolderDisk(data)) as disk, closing(connect(str(data / "postroad.sqlite"))) as sql:
        sql.execute("BEGIN")
        sql.execute("INSERT OR IGNORE INTO mailbox (id, name, uid_validity) VALUES (1, 'INBOX', 7)")
        for octets in letters:
            content = Contents(disk).put(sql, octets)
            sql.execute(
                """INSERT INTO message (mailbox_id, uid, modseq, internal_date, content_id, size)
                   SELECT 1, 1 + count(*), 1, 0, ?, ? FROM message""",
                (content, len(octets)),
            )
        sql.execute("UPDATE mailbox SET uid_next = 1 + (SELECT count(*) FROM message)")
        sql.execute("COMMIT")


class Seam:
    """Stands for `os` in app/durable: whatever changes a disk passes `meet` first, with its number
    and its name, as long as nothing is raised there."""

    CHANGES = ("write", "fsync", "rename", "unlink")

    def __init__(self, meet: Callable[[int, str], None]) -> None:
        self._meet = meet
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            self._meet(self.count, name)
            return real(*arguments, **named)

        return call
