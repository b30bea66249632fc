"""Bundles: what waits, written into a file that anybody may carry; and such a file read.

Purpose: letters, receipts, records and invitations go the same ways as over the wire, without one:
two people who share no network can still come to know each other and write to each other.
Invariants: writing changes no custody (a letter in a bundle waits on as before, until its receipt
comes by whatever way); reading believes nothing that the wire would not, files through `Filing`,
and may be repeated; nobody becomes a contact unless the owner said so.
More than 400 lines: to write one and to read one are two sides of one thing.
"""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

from postroad.base import limits
from postroad.base.errors import (
    DiskFull,
    PeerMisbehaved,
    PermanentFailure,
    PostroadError,
    TemporaryFailure,
)
from postroad.base.ids import DropId, Fingerprint, MailId
from postroad.base.seams import SureClock
from postroad.base.tlv import decode, encode
from postroad.delivery.bundled_words import CHANGES_READ_MAX, BundledWords
from postroad.delivery.filing import Filing
from postroad.delivery.introductions import Introductions
from postroad.delivery.packing import Packer, TooLarge
from postroad.delivery.renter import Renter
from postroad.delivery.sender import Sender
from postroad.peers.holder import Shelves
from postroad.protocol import bundle, invitation, wire
from postroad.protocol.records import PersonRecord, read_person
from postroad.sealing.letter import sealed_to
from postroad.sealing.receipt import Verdict
from postroad.store import audit, bundled, people, queue
from postroad.store.contents import Damaged
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.sealed import Arriving, SealedStore

log = logging.getLogger(__name__)
RECORDS_MAX = 16  # of people in one bundle who are looked at


@dataclass(frozen=True, slots=True)
class _Packed:
    """A parcel that goes into a bundle."""

    parcel: int
    letter: bundle.Letter


@dataclass(frozen=True, slots=True)
class Planned:
    """What will be in a bundle. `left_out`: letters that cannot be sealed or read now."""

    record: bytes
    link: str | None = field(repr=False)
    changes: tuple[bundle.Change, ...]  # said in each, as the record is
    wishes: tuple[bundle.Wish, ...]
    receipts: tuple[tuple[MailId, bytes], ...]
    letters: tuple[_Packed, ...]
    left_out: int

    @property
    def is_empty(self) -> bool:
        return not (self.link or self.wishes or self.receipts or self.letters)


@dataclass(slots=True)
class Found:
    """What a bundle brought, in numbers of letters and receipts."""

    author: str | None = None  # of the person whose record comes first, when they are a contact
    inviter: str | None = None  # whose invitation is in it
    accepted: bool = False
    records: int = 0  # newer than what we had
    filed: int = 0
    known: int = 0  # filed or refused before
    refused: int = 0
    left: int = 0  # not taken now; to be read again
    unreadable: int = 0
    held: int = 0  # for others who rent a drop here
    for_others: int = 0
    receipts: int = 0  # that end letters of ours
    receipts_for_others: int = 0
    changes: int = 0  # revocations and rotations that concern us
    to_be_sealed_anew: int = 0  # letters for a key that we do not have, perhaps to us
    sealed_anew: int = 0  # letters of ours
    trouble: str | None = None  # what is wrong, in a sentence
    people: dict[Fingerprint, PersonRecord] = field(default_factory=dict)
    changes_read: int = 0  # whomever they concern


class Bundles:
    def __init__(
        self,
        database: Database,
        sealed: SealedStore,
        packer: Packer,
        filing: Filing,
        sender: Sender,
        introductions: Introductions,
        renter: Renter,
        words: BundledWords,
        shelves: Shelves,
        keyring: OwnKeys,
        clock: SureClock,
        on_held: Callable[[DropId], None],
        on_receipts: Callable[[], None],
        *,
        writes: bool = True,
        reads: bool = True,
    ) -> None:
        self.allow(writes=writes, reads=reads)
        self._database = database
        self._sealed = sealed
        self._packer = packer
        self._filing = filing
        self._sender = sender
        self._introductions = introductions
        self._renter = renter
        self._words = words
        self._shelves = shelves
        self._keyring = keyring
        self._clock = clock
        self._on_held = on_held
        self._on_receipts = on_receipts

    def allow(self, *, writes: bool, reads: bool) -> None:
        self._allowed = {"bundle_write": writes, "bundle_read": reads}

    # Writing

    async def plan(self, name: str | None, *, invite: bool) -> Planned:
        """All that waits for everybody, or for the contact of this name or address.

        `invite`: with an invitation for whoever reads it. PermanentFailure when the name is
        nobody's or more than one contact's, or none may be written here."""
        await self._expect_allowed("bundle_write", "written")
        whom = None
        if name is not None:
            whom = (await self._database.read(lambda sql: people.called(sql, name))).fingerprint
        link = await self._introductions.invite_by_bundle() if invite else None
        record = encode(await self._renter.record())
        letters: list[_Packed] = []
        left_out = 0
        mine = self._keyring.fingerprints
        for row in await self._database.read(queue.waiting):
            if whom not in (None, row.fingerprint) or row.fingerprint in mine:
                continue
            packed = await self._pack(row) if len(letters) < limits.BUNDLE_LETTERS_MAX else None
            if packed is None:
                left_out += 1
            else:
                letters.append(packed)
        receipts = await self._database.read(lambda sql: bundled.receipts(sql, whom))
        changes, wishes = await self._words.changes(whom), await self._words.wishes()
        return Planned(
            record, link, tuple(changes), tuple(wishes), tuple(receipts), tuple(letters), left_out
        )

    async def _pack(self, row: queue.Row) -> _Packed | None:
        if row.parcel.expires_at <= (self._clock.sure_now() or 0.0):
            return None
        try:
            packed, person = await self._packer.pack(row)
            assert packed.sealed is not None
            mail_id = packed.sealed.mail_id
            size = await self._database.read(lambda sql: self._sealed.size(sql, mail_id))
        except (TemporaryFailure, TooLarge, Damaged) as error:
            # The sender's round shows it to the owner.
            log.info("not into the bundle: %s", error, extra=row.ids)
            return None
        drops = tuple(drop.drop for drop in person.record.drops) if person else ()
        expires = int(row.parcel.expires_at)
        return _Packed(row.id, bundle.Letter(mail_id, size, expires, drops))

    async def pieces(self, planned: Planned) -> AsyncIterator[bytes]:
        """The octets of the file. TemporaryFailure when a letter went away meanwhile."""
        writer = bundle.Writer()
        yield writer.begin()
        yield writer.item(bundle.Record(planned.record))
        if planned.link is not None:
            yield writer.item(bundle.Invitation(planned.link))
        for change in planned.changes:
            yield writer.item(change)
        for wish in planned.wishes:
            yield writer.item(wish)
        for mail_id, receipt in planned.receipts:
            yield writer.item(bundle.Receipt(mail_id, receipt))
        for packed in planned.letters:
            letter = packed.letter
            yield writer.item(letter)
            pieces = self._sealed.pieces(self._database, MailId(letter.mail_id), letter.size)
            try:
                async for piece in pieces:
                    yield writer.piece(piece)
            except Damaged as error:
                raise TemporaryFailure(
                    "A letter was delivered by another way while the bundle was written. "
                    "Write the bundle again."
                ) from error
        yield writer.end()

    async def written(self, planned: Planned) -> None:
        """The file is where its owner wanted it."""
        now = self._clock.now()
        parcels = [packed.parcel for packed in planned.letters]
        await self._database.run(lambda sql: bundled.note(sql, parcels, now))
        log.info(
            "bundle written",
            extra={"letters": len(planned.letters), "receipts": len(planned.receipts)},
        )

    # Reading

    async def read(self, pieces: AsyncIterator[bytes], *, accept: bool) -> Found:
        """Take in all that a bundle brings for us, for letters of ours, and for those we hold for.

        `accept`: accept an invitation that is in it. Of a bundle that is damaged on the way, what
        came before is taken; `trouble` says so. PermanentFailure when it is not a bundle at all, or
        none may be read here."""
        await self._expect_allowed("bundle_read", "read")
        await self._renter.record()  # an introduction is answered with it
        found, reader = Found(), bundle.Reader()
        arriving: _Incoming | None = None
        began = False
        try:
            async for octets in pieces:
                for event in reader.feed(octets):
                    began = True
                    if isinstance(event, bundle.Piece):
                        assert arriving is not None
                        if await arriving.write(event.octets, self._database) and event.is_last:
                            await self._letter(arriving, found)
                        if event.is_last:
                            arriving.discard()
                    elif isinstance(event, bundle.Letter):
                        arriving = await self._incoming(event, found)
                    else:
                        await self._item(event, found, accept=accept)
            reader.finish()
        except bundle.BundleDamaged as error:
            if not began:
                raise PermanentFailure(f"{error} Ask for it again.") from error
            found.trouble = f"{error} What came before that was read. Ask for it again."
        finally:
            if arriving is not None:
                arriving.discard()
            if found.filed or found.refused or found.known:
                self._on_receipts()
        found.author = await self._author(found)
        log.info("bundle read", extra={"letters": found.filed, "receipts": found.receipts})
        return found

    async def _expect_allowed(self, key: str, done: str) -> None:
        if self._allowed[key]:
            return
        now = self._clock.now()
        await self._database.run(lambda sql: audit.note_refused(sql, now, key))
        raise PermanentFailure(
            f"No bundles may be {done} on this computer ({key}). See: postroad policy"
        )

    async def _item(
        self,
        item: bundle.Record | bundle.Invitation | bundle.Receipt | bundle.Change | bundle.Wish,
        found: Found,
        *,
        accept: bool,
    ) -> None:
        match item:
            case bundle.Record(record):
                await self._record(record, found)
            case bundle.Invitation(link):
                await self._invitation(link, found, accept=accept)
            case bundle.Receipt(mail_id, receipt):
                await self._receipt(MailId(mail_id), receipt, found)
            case bundle.Change() if found.changes_read < CHANGES_READ_MAX:
                found.changes_read += 1
                is_ours = await self._words.hear(item)
                found.changes += is_ours is True
                found.unreadable += is_ours is None
            case bundle.Wish(reseal):
                found.sealed_anew += await self._words.obey(reseal) is True
            case _:
                log.warning("more changes in a bundle than are looked at")

    async def _record(self, octets: bytes, found: Found) -> None:
        try:
            fingerprint = decode(PersonRecord, octets).fingerprint
            record = read_person(octets, fingerprint)
        except PeerMisbehaved as error:
            log.warning("a record in a bundle is not one: %s", error)
            return
        if fingerprint in self._keyring.fingerprints or len(found.people) >= RECORDS_MAX:
            return
        found.people[fingerprint] = record
        now = self._clock.now()

        def work(sql: Sql) -> bool:
            is_newer = people.learn(sql, record, now)
            if people.contact(sql, fingerprint) is not None:
                people.keep_record(sql, record, now)
            if is_newer:
                queue.wake(sql, fingerprint, now)
            return is_newer

        try:
            is_newer = await self._database.run(work)
        except DiskFull as error:  # what follows is told one by one, and can be read again
            found.trouble = str(error)
            return
        if is_newer:
            found.records += 1
            self._sender.wake()

    async def _invitation(self, link: str, found: Found, *, accept: bool) -> None:
        try:
            invited_by = invitation.from_link(link).fingerprint
        except PermanentFailure as error:
            found.trouble = str(error)
            return
        record = found.people.get(invited_by)
        if invited_by in self._keyring.fingerprints:
            return  # ours, come back
        found.inviter = str(record.address) if record else invited_by
        if accept:
            try:
                address, _ = await self._introductions.accept(link, record)
            except PostroadError as error:
                found.trouble = str(error)
                return
            found.inviter, found.accepted = str(address), True

    async def _receipt(self, mail_id: MailId, receipt: bytes, found: Found) -> None:
        try:
            is_news = await self._sender.take_receipt(mail_id, receipt)
        except PeerMisbehaved as error:
            log.warning("a receipt in a bundle is not one: %s", error)
            found.unreadable += 1
            return
        found.receipts += is_news is True
        found.receipts_for_others += is_news is None

    async def _incoming(self, letter: bundle.Letter, found: Found) -> "_Incoming":
        """Begin to take in a letter; one that was here before is only read past."""
        mail_id = MailId(letter.mail_id)
        before = await self._database.read(lambda sql: self._filing.before(sql, mail_id))
        if before.receipt is not None:
            now = self._clock.now()
            await self._database.run(lambda sql: bundled.owe_again(sql, mail_id, now))
            found.known += 1
        elif before.is_bad:
            found.unreadable += 1
        else:
            try:
                self._sealed.disk.require_room(2 * letter.size)
                return _Incoming(letter, self._sealed.arriving(letter.size))
            except TemporaryFailure as error:
                found.left += 1
                found.trouble = str(error)
        return _Incoming(letter, None)

    async def _letter(self, incoming: "_Incoming", found: Found) -> None:
        """A letter has come whole: file it, or keep it for whom we hold."""
        arriving = incoming.arriving
        assert arriving is not None
        if arriving.mail_id != incoming.letter.mail_id:
            found.unreadable += 1
            return
        ids = self._keyring.epoch_keys()
        look = partial(sealed_to, arriving.read, arriving.received)
        try:
            named = await self._database.outside(look)
            if named not in ids:
                await self._not_for_our_keys(incoming, arriving, named, found)
                return
            size = arriving.received
            result = await self._filing.file(arriving.mail_id, arriving.read, size, told=False)
        except PeerMisbehaved:
            found.unreadable += 1
        except TemporaryFailure as error:
            found.left += 1
            found.trouble = str(error)
        else:
            is_filed = result.verdict is Verdict.FILED
            found.filed += is_filed
            found.refused += not is_filed

    async def _not_for_our_keys(
        self, incoming: "_Incoming", arriving: Arriving, named: bytes | None, found: Found
    ) -> None:
        letter = incoming.letter
        if await self._hold(incoming, arriving):
            found.held += 1
        elif named and await self._words.miss(
            MailId(letter.mail_id), named, letter.drops, next(iter(found.people), None)
        ):
            found.to_be_sealed_anew += 1
        else:
            found.for_others += 1

    async def _hold(self, incoming: "_Incoming", arriving: Arriving) -> bool:
        """Whether the letter lies now in a drop that its recipient rents here.

        It comes without a ticket, which would be open to whoever carries the bundle: so it has to
        fit into the drop's open compartment."""
        letter = incoming.letter
        is_kept = False
        for drop in letter.drops:
            if await self._shelves.key_of(DropId(drop)) is None:
                continue
            deposit = wire.Deposit(drop, letter.mail_id, letter.size, letter.expires, None, None)
            answer = await self._shelves.offer(deposit)
            if isinstance(answer, wire.Take):
                await self._shelves.put(deposit, _pieces_of(arriving, self._database))
                self._on_held(DropId(drop))
            is_kept |= answer is None or isinstance(answer, wire.Take)
        return is_kept

    async def _author(self, found: Found) -> str | None:
        first = next(iter(found.people), None)
        if first is None:
            return None
        person = await self._database.read(lambda sql: people.contact(sql, first))
        return person.address if person else None


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A letter on its way in; without `arriving` it is only read past."""

    letter: bundle.Letter
    arriving: Arriving | None

    async def write(self, octets: bytes, database: Database) -> bool:
        """Whether it is taken in."""
        if self.arriving is None:
            return False
        await database.outside(partial(self.arriving.write, octets))
        return True

    def discard(self) -> None:
        if self.arriving is not None:
            self.arriving.discard()


async def _pieces_of(arriving: Arriving, database: Database) -> AsyncIterator[bytes]:
    for offset in range(0, arriving.received, limits.BULK_CHUNK_BYTES):
        yield await database.outside(partial(arriving.read, offset, limits.BULK_CHUNK_BYTES))
