"""Accept letters: from the owner's mail program, and those that the node itself writes.

Purpose: the first of three promises. `accept` returns after the commit that makes the letter ours
to deliver or to return; only then may the door say 250.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint, Instant, Nonce
from postroad.base.seams import Clock, Entropy
from postroad.base.tlv import encode
from postroad.delivery.packing import expect_to_fit
from postroad.message import address as addresses
from postroad.message import headers
from postroad.message.envelope import Recipient, Submission
from postroad.sealing.letter import Introduction, Kind
from postroad.sealing.proposal import Proposal
from postroad.store import audit, circle, own_standing, people, queue, revoked, rotations
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys

log = logging.getLogger(__name__)


class Strangers(Protocol):
    """`delivery.strangers.Strangers`: PermanentFailure says why a letter cannot go."""

    async def check_address(self, wanted: addresses.Address) -> None: ...

    async def check_letter(self, octets: bytes, to: list[Fingerprint]) -> None: ...


class Outbox:
    """`on_accepted` is called after each commit: the sender wakes at once."""

    def __init__(
        self,
        database: Database,
        contents: Contents,
        keyring: OwnKeys,
        clock: Clock,
        entropy: Entropy,
        on_accepted: Callable[[], None],
        strangers: Strangers,
        *,
        expiry_seconds: float = limits.EXPIRY_SECONDS_DEFAULT,
        size_max: int = limits.LETTER_BYTES_MAX,
    ) -> None:
        self._database = database
        self._contents = contents
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._on_accepted = on_accepted
        self._strangers = strangers
        self.expiry_seconds = expiry_seconds
        self.size_max = size_max

    async def check_recipient(self, address: str) -> str:
        """The address in its normal form; PermanentFailure says why no letter can go there."""
        try:
            wanted = addresses.parse(address)
        except PermanentFailure as error:
            raise PermanentFailure(f"{error}{await self._hint(address)}") from error
        await self._expect_not_revoked(wanted.fingerprint)
        if wanted.fingerprint in self._keyring.fingerprints:
            return str(wanted)
        heir = await self._database.read(lambda sql: rotations.heir(sql, wanted.fingerprint))
        await circle.expect_noted(self._database, self._clock.now(), heir, str(wanted))
        person = await self._database.read(lambda sql: rotations.contact(sql, wanted.fingerprint))
        if person is None:
            try:
                await self._strangers.check_address(wanted)
            except PermanentFailure as error:
                await self._expect_not_revoked(wanted.fingerprint)  # known by that look
                raise PermanentFailure(f"{error}{await self._hint(address)}") from error
            return str(wanted)
        if person.blocked:
            raise PermanentFailure(f"You have blocked {person.name}; unblock them first.")
        return str(wanted)

    async def _expect_not_revoked(self, wanted: Fingerprint) -> None:
        mine, device = self._keyring.fingerprint, self._keyring.device.peer
        ours, theirs_ended = await self._database.read(
            lambda sql: (
                own_standing.trouble(sql, mine, device),
                revoked.is_ended(sql, rotations.heir(sql, wanted)),
            )
        )
        if ours:
            raise PermanentFailure(ours)
        if theirs_ended:
            raise PermanentFailure(
                "This identity was revoked by its owner, and nobody reads letters to it. Ask them "
                "in another way for an invitation to their new one."
            )

    async def _hint(self, address: str) -> str:
        """Whom the owner may have meant, as a sentence."""
        known = await self._database.read(people.contacts)
        names = {person.address: person.name for person in known}
        near = addresses.did_you_mean(address, [*names, str(self._keyring.address)])
        if near is None:
            return ""
        return f" Did you mean {names.get(near, 'yourself,').capitalize()} <{near}>?"

    async def accept(self, submission: Submission) -> str:
        """Take custody of a letter; its id once it is durable. Raises DiskFull, and
        PermanentFailure when it is not what a stranger among the recipients could be shown, or
        larger than one of them takes."""
        assert len(submission.octets) <= limits.LETTER_BYTES_MAX + limits.TRACE_BYTES_MAX
        await self._expect_allowed_size(len(submission.octets))
        visible = visible_recipients(submission.octets)
        parcels = await self._to_heirs(parcels_for(submission.recipients, visible))
        others = [one.fingerprint for one in parcels if one.fingerprint not in self._mine]
        await self._strangers.check_letter(submission.octets, others)
        await self._database.read(lambda sql: self._expect_to_fit(sql, submission.octets, others))
        # The letter itself, and a sealed copy for each recipient.
        size = len(submission.octets)
        self._contents.disk.require_room(size * (1 + len(submission.recipients)))
        now = self._clock.now()
        nonce = Nonce(self._entropy.token(16))
        letter = queue.NewLetter(
            nonce,
            Kind.PERSON,
            submission.octets,
            now,
            Instant(now + self.expiry_seconds),
            visible,
            submission.envelope_id,
            submission.return_full,
        )

        def committed(_: int) -> None:
            log.info("letter accepted", extra={"letter": nonce.hex(), "parcels": len(parcels)})
            self._on_accepted()

        await self._database.run(
            lambda sql: queue.put(sql, self._contents, letter, parcels), then=committed
        )
        return nonce.hex()

    async def _expect_allowed_size(self, size: int) -> None:
        if size <= self.size_max + limits.TRACE_BYTES_MAX:
            return
        now = self._clock.now()
        await self._database.run(
            lambda sql: audit.note_refused(sql, now, "size_max_mib", what=f"{size} bytes")
        )
        raise PermanentFailure(
            f"A letter that is sent from this computer has at most {self.size_max / limits.MIB:g} "
            "MiB (size_max_mib), and this one is larger. Send less, or in parts; see: postroad "
            "policy"
        )

    def _expect_to_fit(self, sql: Sql, octets: bytes, to: list[Fingerprint]) -> None:
        """A stranger's record is not asked: what they are shown is small."""
        for one in to:
            person = people.contact(sql, one)
            if person is not None:
                expect_to_fit(len(octets), person)

    @property
    def _mine(self) -> tuple[Fingerprint, ...]:
        return self._keyring.fingerprints

    async def _to_heirs(self, parcels: list[queue.NewParcel]) -> list[queue.NewParcel]:
        """The same, each for whom its recipient is now; what the letter says stays."""
        return await self._database.read(
            lambda sql: [
                replace(one, fingerprint=rotations.heir(sql, one.fingerprint)) for one in parcels
            ]
        )

    def introduce(
        self,
        sql: Sql,
        to: addresses.Address,
        octets: bytes,
        introduction: Introduction,
        nonce: Nonce,
    ) -> None:
        """Enter a letter that introduces the owner, in the caller's transaction.

        The caller wakes the sender after the commit."""
        now = self._clock.now()
        until = Instant(now + self.expiry_seconds)
        letter = queue.NewLetter(
            nonce,
            Kind.INTRODUCTION,
            octets,
            now,
            until,
            (str(to),),
            introduction=encode(introduction),
        )
        self._enter(sql, to, letter)

    def propose(
        self,
        sql: Sql,
        to: addresses.Address,
        octets: bytes,
        proposal: Proposal,
        nonce: Nonce,
        until: Instant,
    ) -> None:
        """Enter a letter that proposes somebody to a contact, as `introduce` does."""
        now = self._clock.now()
        until = min(until, Instant(now + self.expiry_seconds))
        letter = queue.NewLetter(
            nonce, Kind.PROPOSAL, octets, now, until, (str(to),), proposal=encode(proposal)
        )
        self._enter(sql, to, letter)

    def _enter(self, sql: Sql, to: addresses.Address, letter: queue.NewLetter) -> None:
        parcel = queue.NewParcel(Recipient(str(to)), to.fingerprint, blind=False)
        queue.put(sql, self._contents, letter, [parcel])


def visible_recipients(octets: bytes) -> tuple[str, ...]:
    """The Postroad addresses in To and Cc, in their normal form; each person's first one."""
    header = octets[: headers.header_size(octets)]
    found: dict[Fingerprint, str] = {}
    for name in (b"to", b"cc"):
        for value in headers.all_of(header, name):
            for mailbox in headers.addresses(value):
                try:
                    address = addresses.parse(mailbox.address)
                except PermanentFailure:  # an ordinary address among them: not ours to seal for
                    continue
                found.setdefault(address.fingerprint, str(address))
    return tuple(list(found.values())[: limits.RECIPIENTS_MAX])


def parcels_for(
    recipients: tuple[Recipient, ...], visible: tuple[str, ...]
) -> list[queue.NewParcel]:
    """One parcel for each recipient address; blind are those that To and Cc do not name.

    The blind ones come last: the others go out as they would without them."""
    seen = {addresses.parse(text).fingerprint for text in visible}
    made: dict[str, queue.NewParcel] = {}
    for recipient in recipients:
        wanted = addresses.parse(recipient.address)
        made.setdefault(
            recipient.address,
            queue.NewParcel(recipient, wanted.fingerprint, wanted.fingerprint not in seen),
        )
    return sorted(made.values(), key=lambda parcel: parcel.blind)
