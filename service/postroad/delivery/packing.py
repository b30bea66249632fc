"""Seal parcels: once each, so that every retry sends the same bytes.

Invariants: the content key is fresh and is kept with the parcel in the same commit as the sealed
letter; a parcel that has a mail id is never sealed again.
"""

import hashlib
import logging
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.seams import Clock, Entropy
from postroad.base.tlv import decode
from postroad.delivery import reasons
from postroad.message import address as addresses
from postroad.message import headers, submitted
from postroad.sealing import keys, letter
from postroad.sealing.letter import Header, Introduction, Kind
from postroad.sealing.proposal import Proposal
from postroad.store import people, proposals, queue, revoked, strangers
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.sealed import SealedStore

log = logging.getLogger(__name__)


class NoKeyNow(TemporaryFailure):
    """The only key that is known of this person is one that they have revoked."""

    def __init__(self, person: people.Person) -> None:
        super().__init__(reasons.no_key(person.name))
        self.person = person


class TooLarge(PermanentFailure):
    """The letter is larger than its recipient takes, as their newest record says."""


def expect_to_fit(size: int, person: people.Person) -> None:
    """Raise TooLarge unless a letter of so many octets is one that this person takes."""
    most = person.record.size_max
    if size > most:
        raise TooLarge(
            f"{person.name} takes letters of at most {most // limits.KIB:,} KiB, and this one has "
            f"{size // limits.KIB:,}. Send less in one letter, or the large part in another way."
        )


@dataclass(frozen=True, slots=True)
class Packer:
    database: Database
    contents: Contents
    sealed: SealedStore
    keyring: OwnKeys
    clock: Clock
    entropy: Entropy
    dial_private: bool = False  # see `protocol.dialable`

    async def pack(self, row: queue.Row) -> tuple[queue.Row, people.Person | None]:
        """The parcel with its seal, and whom it is for; None: the owner wrote to themselves.

        Raises Damaged when the letter's octets are no longer what was accepted, TemporaryFailure
        when the recipient is no contact any more, NoKeyNow when they have revoked their device,
        TooLarge when they take no letter of that size."""
        if row.sealed is not None:
            return row, await self.database.read(lambda sql: self._recipient(sql, row))
        await self.keyring.renew(self.clock.now())
        content_key = self.entropy.token(32)

        def work(sql: Sql) -> tuple[queue.Row, people.Person | None]:
            person = self._recipient(sql, row)
            now = queue.get(sql, row.id)
            if now.sealed is not None:  # a round and a bundle may want it at the same moment
                return now, person
            epoch_public = person.record.epoch_key if person else self.keyring.epoch_public
            body = self.contents.get(sql, row.content_id)
            if person is not None:
                expect_to_fit(len(body), person)
            author = self._author(body)
            header = self._header(sql, row, body, epoch_public, author)
            chunks = letter.seal(
                header,
                body,
                device=self.keyring.device,
                certificate=self.keyring.certificate_of(author.fingerprint),
                epoch_public=epoch_public,
                content_key=content_key,
            )
            mail_id = self.sealed.put_all(sql, chunks, len(body))
            queue.sealed(
                sql,
                row.id,
                queue.Sealed(
                    mail_id,
                    content_key,
                    letter.header_hash(header),
                    header.epoch_key,
                    person.record.sequence if person else 0,
                ),
            )
            return queue.get(sql, row.id), person

        packed, person = await self.database.run(work)
        assert packed.sealed is not None
        log.info("parcel sealed", extra={**row.ids, "mail": packed.sealed.mail_id.hex()})
        return packed, person

    async def recipient(self, row: queue.Row) -> people.Person:
        """Whom a parcel for somebody else is for, as they are known now; raises as `pack`."""
        person = await self.database.read(lambda sql: self._recipient(sql, row))
        assert person is not None
        return person

    def _recipient(self, sql: Sql, row: queue.Row) -> people.Person | None:
        if row.fingerprint in self.keyring.fingerprints:
            return None
        person = people.contact(sql, row.fingerprint)
        if person is None and row.kind is Kind.INTRODUCTION:
            person = proposals.person(sql, row.fingerprint, private=self.dial_private)
        if person is None:
            known = strangers.stranger(sql, row.fingerprint)
            person = None if known is None else known.person(private=self.dial_private)
        if person is None:
            raise TemporaryFailure("This person is no longer among your contacts.")
        if not revoked.speaks(sql, person.fingerprint, person.record.certificate.device):
            raise NoKeyNow(person)
        return person

    def _author(self, body: bytes) -> addresses.Address:
        """As whom the letter was written: perhaps before we rotated, and it says so in its From."""
        head = body[: headers.header_size(body)]
        named = [
            mailbox.address.lower()
            for value in headers.all_of(head, b"from")
            for mailbox in headers.addresses(value)
        ]
        former = self.keyring.addresses[1:]
        return next(
            (one for one in former if submitted.is_own(" ".join(named), (str(one),))),
            self.keyring.address,
        )

    def _request(self, sql: Sql, row: queue.Row, author: addresses.Address) -> Introduction | None:
        """What a letter to a stranger takes along, for their answer; None: it is not to one."""
        known = strangers.stranger(sql, row.fingerprint)
        if (
            row.kind is not Kind.PERSON
            or row.fingerprint in self.keyring.fingerprints
            or people.contact(sql, row.fingerprint) is not None
            or known is None
        ):
            return None
        mine = people.kept_record(sql, author.fingerprint)
        assert mine is not None, "our own record is made before the network is joined"
        return Introduction(None, known.ticket, mine, None)

    def _header(
        self, sql: Sql, row: queue.Row, body: bytes, epoch_public: bytes, mine: addresses.Address
    ) -> Header:
        request = self._request(sql, row, mine)
        introduction = decode(Introduction, row.introduction) if row.introduction else request
        visible = (addresses.parse(text) for text in row.visible)
        return Header(
            letter.VERSION,
            letter.SUITE,
            row.kind if request is None else Kind.REQUEST,
            letter.Person(str(mine), mine.fingerprint),
            self.keyring.device.public,
            tuple(letter.Person(str(one), one.fingerprint) for one in visible),
            letter.Person(row.recipient, addresses.parse(row.recipient).fingerprint),
            keys.epoch_key_id(epoch_public),
            row.blind,
            row.nonce,
            int(self.clock.now()),
            int(row.parcel.expires_at),
            len(body),
            hashlib.sha256(body).digest(),
            introduction,
            decode(Proposal, row.proposal) if row.proposal else None,
        )
