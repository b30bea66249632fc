"""Bring mutations to a real node, and see what becomes of them.

Bora's node in the simulator is asked to file letters, end a parcel by receipts, use invitations and
read bundles; it knows Anna, whose letters are forged, and Mallory, who forges. Records are read as
everybody reads them. Nothing may be believed, nothing may crash, and each kind has one error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from delivery.test_bundles import read
from fakes import someone
from mutating import invitations, octets
from mutating.letters import Keys, Letters, Scene
from mutating.receipts import Receipts
from mutating.records import Records
from mutating.report import Mutation, Report
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.base.ids import MailId
from postroad.base.tlv import encode
from postroad.delivery.bundles import Found
from postroad.protocol import bundle
from postroad.protocol.identity_records import read_record
from postroad.protocol.invitation import from_link
from postroad.sealing.certificate import certify
from postroad.sealing.keys import Identity
from postroad.sealing.letter import Introduction, Kind, NotOpened, Person, UnknownKey
from postroad.sealing.receipt import Receipt, Verdict
from postroad.store import people, quarantine
from simulator.village import Resident, Village, play, until

SHARES = {"letter": 40, "record": 25, "receipt": 15, "invitation": 6, "bundle": 14}
ONE_TEXT = "a sealed letter does not open"


def run(folder: Path, seed: int, count: int) -> Report:
    """Try `count` mutations, drawn by this seed."""
    report = Report()

    async def scene(place: Village) -> None:
        trial = Trial(place, Random(f"mutations {seed}"), report)
        await trial.prepare()
        numbers = {target: count * share // 100 for target, share in SHARES.items()}
        numbers["letter"] += count - sum(numbers.values())
        await trial.letters(numbers["letter"])
        trial.records(numbers["record"])
        await trial.receipts(numbers["receipt"])
        await trial.invitations(numbers["invitation"])
        await trial.bundles(numbers["bundle"])

    play(folder, scene)
    return report


class Trial:
    def __init__(self, place: Village, dice: Random, report: Report) -> None:
        self._place = place
        self._dice = dice
        self._report = report

    async def prepare(self) -> None:
        place = self._place
        self.bora, self.anna, self.mallory, self.dora = await place.settle_in(
            "bora", "anna", "mallory", "dora"
        )
        await place.meet(self.bora, self.anna, self.mallory, self.dora)
        self._author, self._attacker = _keys(self.anna), _keys(self.mallory)
        other = someone("carl")
        epoch_public = self.bora.node.keyring.epoch_public
        reader = Person(self.bora.address, self.bora.node.keyring.fingerprint)
        scene = Scene(
            self._author,
            reader,
            Person(str(other.address), other.fingerprint),
            self._attacker,
            epoch_public,
            int(place.clock.now()),
        )
        self._letters = Letters(scene, self._dice)
        assert await self._file(self._honest_letter()) is Verdict.FILED

    def _honest_letter(self) -> bytes:
        header, body = self._letters.honest(300)
        return self._letters.sealed(self._letters.content(header, body, self._author))

    async def _file(self, sealed: bytes) -> Verdict:
        filing = self.bora.node.receiver._filing
        mail_id = MailId(hashlib.sha256(sealed).digest())
        result = await filing.file(
            mail_id, lambda at, size: sealed[at : at + size], len(sealed), told=True
        )
        return result.verdict

    async def letters(self, count: int) -> None:
        """Not opened, with the one text, and set aside; or, where the attacker speaks in their own
        name, refused by a signed receipt. None is filed."""
        filed = len(await self.bora.inbox())
        set_aside = await self._set_aside()
        unopened: set[bytes] = set()
        for mutation in islice(self._letters.mutations(), count):
            try:
                verdict = await self._file(mutation.octets)
            except NotOpened as error:
                if not isinstance(error, UnknownKey):  # its sender is asked to seal it anew
                    unopened.add(mutation.octets)
                fits = str(error) == ONE_TEXT and bool(error.reason)
                self._report.add(mutation, "not opened", fits=fits)
            except Exception as error:  # whatever it is, it is counted as wrong
                self._report.add(mutation, f"raised {error!r}", fits=False)
            else:
                fits = verdict is Verdict.FORGED and mutation.how == "From exchanged"
                self._report.add(mutation, f"refused: {verdict.name.lower()}", fits=fits)
        self._expect(len(await self.bora.inbox()) == filed, "letters: one was filed")
        counted = await self._set_aside() - set_aside
        self._expect(counted == min(len(unopened), 1000 - set_aside), "letters: not all set aside")

    async def _set_aside(self) -> int:
        noted = await self.bora.node.database.read(quarantine.noted)
        return sum(one.kind == "letter" for one in noted)

    def records(self, count: int) -> None:
        owner, attacker = someone("anna"), someone("mallory")
        for kind, mutation in islice(Records(owner, attacker, self._dice).mutations(), count):
            with self._refused(mutation):
                read_record(mutation.octets, kind, owner.fingerprint)

    @contextmanager
    def _refused(self, mutation: Mutation) -> Iterator[None]:
        """Note whether what is done with it ends as it should."""
        try:
            yield
            self._report.add(mutation, "believed", fits=False)
        except PeerMisbehaved:
            self._report.add(mutation, "refused", fits=True)
        except Exception as error:
            self._report.add(mutation, f"raised {error!r}", fits=False)

    async def receipts(self, count: int) -> None:
        """For a parcel of Bora's that waits for Dora, who is away."""
        bora, dora = self.bora, self.dora
        recipient, to = _keys(dora), dora.address
        await dora.sleep()
        await bora.write(to, subject="waits")

        async def is_sealed() -> bool:
            return any(row.sealed for row in await bora.waiting())

        await until(is_sealed)
        (row,) = [one for one in await bora.waiting() if one.sealed]
        assert row.sealed is not None
        mail_id = row.sealed.mail_id
        right = Receipt(
            bora.node.keyring.fingerprint,
            row.nonce,
            row.sealed.header_hash,
            row.fingerprint,
            Verdict.FILED,
            int(self._place.clock.now()),
        )
        key = row.sealed.content_key
        forge = Receipts(right, recipient, self._attacker, key, self._dice)
        before = (await bora.states(), len(await bora.inbox()))
        for mutation in islice(forge.mutations(), count):
            with self._refused(mutation):
                await bora.node.sender.take_receipt(mail_id, mutation.octets)
        after = (await bora.states(), len(await bora.inbox()))
        self._expect(before == after, "receipts: a parcel has changed")
        self._receipts, self._mail_id = forge, mail_id

    async def invitations(self, count: int) -> None:
        """Damaged ones are said to be; with another secret nobody becomes a contact."""
        link, _, _ = await self.bora.node.introductions.invite()
        original = from_link(link)
        before = await self.bora.contacts()
        for mutation in islice(invitations.mutations(link, self._dice), count):
            try:
                changed = from_link(mutation.octets.decode("latin-1"))
            except PermanentFailure:
                self._report.add(mutation, "refused", fits=True)
                continue
            except Exception as error:
                self._report.add(mutation, f"raised {error!r}", fits=False)
                continue
            if changed.fingerprint != original.fingerprint:
                self._report.add(mutation, "names somebody else", fits=True)
                continue
            verdict = await self._introduce(changed.secret, changed.ticket)
            is_refused = verdict is Verdict.STRANGER and changed.secret != original.secret
            self._report.add(mutation, f"introduction: {verdict.name.lower()}", fits=is_refused)
        self._expect(await self.bora.contacts() == before, "invitations: somebody was met")

    async def _introduce(self, secret: bytes, ticket: bytes) -> Verdict:
        """Somebody who is no contact shows this secret."""
        now = self._place.clock.now()
        stranger = someone(f"stranger{self._dice.randrange(100)}", now)
        record = stranger.record(expires=now + limits.RECORD_SECONDS_MAX)
        said = Introduction(secret, ticket, encode(record), None)
        person = Person(str(stranger.address), stranger.fingerprint)
        keys = Keys(person, stranger.device, stranger.certificate, stranger.identity)
        header, body = self._letters.honest(300)
        header = replace(
            header,
            kind=Kind.INTRODUCTION,
            sender=person,
            device=stranger.device.public,
            introduction=said,
        )
        body = body.replace(self._author.person.address.encode(), person.address.encode())
        digest = hashlib.sha256(body).digest()
        header = replace(header, size=len(body), digest=digest)
        return await self._file(self._letters.sealed(self._letters.content(header, body, keys)))

    async def bundles(self, count: int) -> None:
        """Files with changed octets; and whole ones, with changed things in them."""
        known = self._honest_letter()
        await self._file(known)
        before = await self._snapshot()
        whole = _bundle([bundle.Record(await self._record_of(self.anna)), *_letter_items(known)])
        for mutation in islice(self._bundle_mutations(whole), count):
            try:
                found: Found | None = await read(self.bora, mutation.octets)
            except PermanentFailure:
                self._report.add(mutation, "refused", fits=True)
                continue
            except Exception as error:
                self._report.add(mutation, f"raised {error!r}", fits=False)
                continue
            assert found is not None
            if mutation.keyed:
                nothing = not (found.filed or found.receipts or found.records)
                self._report.add(mutation, "nothing of it believed", fits=nothing)
            else:
                nothing = not (found.filed or found.records) and found.trouble is not None
                self._report.add(mutation, "said to be damaged", fits=nothing)
        self._expect(await self._snapshot() == before, "bundles: something has changed")

    def _bundle_mutations(self, whole: bytes) -> Iterator[Mutation]:
        letters = (one for one in self._letters.mutations() if one.keyed)
        receipts = (one for one in self._receipts.mutations() if one.keyed)
        records = Records(someone("anna"), someone("mallory"), self._dice).mutations()
        persons = (one for kind, one in records if one.keyed and kind == 1)
        while True:
            if self._dice.random() < 0.45:
                how, changed = octets.broken(self._dice, whole)
                yield Mutation("bundle", f"octets: {how}", False, changed)
                continue
            events: list[bundle.Event]
            match self._dice.randrange(3):
                case 0:
                    inner = next(one for one in letters if one.how != "From exchanged")
                    events = _letter_items(inner.octets)
                case 1:
                    inner = next(one for one in receipts if len(one.octets) == 1052)
                    events = [bundle.Receipt(self._mail_id, inner.octets)]
                case _:
                    inner = next(one for one in persons if 1 <= len(one.octets) <= 4096)
                    events = [bundle.Record(inner.octets)]
            how = f"whole, with a {inner.target}: {inner.how}"
            yield Mutation("bundle", how, True, _bundle(events))

    async def _record_of(self, who: Resident) -> bytes:
        return encode(await who.node.renter.record())

    async def _snapshot(self) -> tuple[object, ...]:
        bora = self.bora

        def sequences(sql: object) -> list[tuple[str, int]]:
            found = people.contacts(sql)  # type: ignore[arg-type]
            return [(one.fingerprint, one.record.sequence) for one in found]

        learnt = await bora.node.database.read(sequences)
        return len(await bora.inbox()), await bora.states(), learnt

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._report.wrong.append(otherwise)


def _keys(who: Resident) -> Keys:
    ring = who.node.keyring
    identity = Identity(who.entropy)
    assert certify(identity, ring.device.peer, who.clock.now()).fingerprint == ring.fingerprint
    person = Person(who.address, ring.fingerprint)
    return Keys(person, ring.device, ring.certificate, identity)


def _letter_items(octets: bytes) -> list[bundle.Event]:
    digest = hashlib.sha256(octets).digest()
    return [bundle.Letter(digest, len(octets), 2_000_000_000, ()), bundle.Piece(octets, True)]


def _bundle(events: list[bundle.Event]) -> bytes:
    writer = bundle.Writer()
    made = [writer.begin()]
    for event in events:
        if isinstance(event, bundle.Piece):
            made.append(writer.piece(event.octets))
        else:
            made.append(writer.item(event))
    return b"".join((*made, writer.end()))
