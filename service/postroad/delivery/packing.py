"""Seal parcels: once each, so that every retry sends the same bytes.

Invariants: the content key is fresh and is kept with the parcel in the same commit as the sealed
letter; a parcel that has a mail id is never sealed again.
"""

import hashlib
import logging
from dataclasses import dataclass

from postroad.base.ids import MailId
from postroad.base.seams import Clock, Entropy
from postroad.base.tlv import decode
from postroad.message import address as addresses
from postroad.protocol.records import PersonRecord
from postroad.sealing import keys, letter
from postroad.sealing.letter import Header, Introduction
from postroad.store import queue
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.sealed import SealedStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packer:
    database: Database
    contents: Contents
    sealed: SealedStore
    keyring: OwnKeys
    clock: Clock
    entropy: Entropy

    async def pack(self, row: queue.Row, record: PersonRecord | None) -> MailId:
        """The mail id of the parcel's sealed letter; `record` is None for letters to oneself.

        Raises Damaged when the letter's octets are no longer what was accepted."""
        if row.sealed is not None:
            return row.sealed.mail_id
        await self.keyring.renew(self.clock.now())
        content_key = self.entropy.token(32)
        epoch_public = record.epoch_key if record else self.keyring.epoch_public

        def work(sql: Sql) -> MailId:
            body = self.contents.get(sql, row.content_id)
            header = self._header(row, body, epoch_public)
            chunks = letter.seal(
                header,
                body,
                device=self.keyring.device,
                certificate=self.keyring.certificate,
                epoch_public=epoch_public,
                content_key=content_key,
            )
            mail_id = self.sealed.put_all(sql, chunks, len(body))
            queue.sealed(
                sql,
                row.id,
                queue.Sealed(mail_id, content_key, letter.header_hash(header)),
                record.sequence if record else 0,
            )
            return mail_id

        mail_id = await self.database.run(work)
        log.info("parcel sealed", extra={**row.ids, "mail": mail_id.hex()})
        return mail_id

    def _header(self, row: queue.Row, body: bytes, epoch_public: bytes) -> Header:
        mine = self.keyring.address
        visible = (addresses.parse(text) for text in row.visible)
        return Header(
            letter.VERSION,
            letter.SUITE,
            row.kind,
            letter.Person(str(mine), mine.fingerprint),
            self.keyring.device.public,
            tuple(letter.Person(str(one), one.fingerprint) for one in visible),
            letter.Person(row.recipient, row.fingerprint),
            keys.epoch_key_id(epoch_public),
            row.blind,
            row.nonce,
            int(self.clock.now()),
            int(row.parcel.expires_at),
            len(body),
            hashlib.sha256(body).digest(),
            decode(Introduction, row.introduction) if row.introduction else None,
        )
