"""Two contacts are introduced by a third: real nodes, both ways round, and hostile ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from delivery.test_road import ended, has_notice, is_filed, put_off
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint, Nonce
from postroad.base.tlv import encode
from postroad.message import introduction as letters
from postroad.message.introduction import Occasion
from postroad.protocol.records import PersonRecord
from postroad.sealing.letter import Introduction
from postroad.sealing.proposal import CONTEXT, Proposal, SignedWord, Word
from postroad.store import audit, people
from postroad.store.database import Sql
from postroad.store.proposals import State
from simulator.village import Resident, Village, play, until


async def three(place: Village) -> tuple[Resident, Resident, Resident]:
    """Ivan, a contact of Anna and of Boris, who do not know each other."""
    ivan, anna, boris = await place.settle_in("ivan", "anna", "boris")
    await place.meet(ivan, anna, boris)
    return ivan, anna, boris


async def proposed(place: Village) -> tuple[Resident, Resident, Resident]:
    """The three, when Ivan has proposed the two to each other, and both have read it."""
    ivan, anna, boris = await three(place)
    await ivan.node.proposals.introduce("anna", "boris")
    for who in (anna, boris):
        await until(lambda who=who: is_in(who, State.OPEN))  # type: ignore[misc]
    return ivan, anna, boris


async def accept(who: Resident) -> None:
    """Say yes to the newest proposal."""
    row, _, _ = (await who.node.proposals.all())[-1]
    await who.node.proposals.accept(row.id, await who.node.renter.record())


async def state(who: Resident) -> State:
    return (await who.node.proposals.all())[-1][0].state


async def is_in(who: Resident, wanted: State) -> bool:
    return bool(await who.node.proposals.all()) and await state(who) is wanted


async def know_each_other(one: Resident, other: Resident) -> bool:
    subject = "You and {} can write to each other now"
    greeted = await one.with_subject(subject.format(other.name.capitalize()))
    return bool(greeted) and other.address in await one.contacts()


async def have_met(one: Resident, other: Resident) -> bool:
    return await know_each_other(one, other) and await know_each_other(other, one)


def test_two_are_introduced_when_both_say_yes_and_neither_is_verified(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        one, other = await ivan.node.proposals.introduce("anna", "Boris")
        assert (one.name, other.name) == ("anna", "boris")
        for who, whom in ((anna, "Boris"), (boris, "Anna")):
            await until(lambda who=who, whom=whom: is_filed(who, f"ivan introduces {whom}"))  # type: ignore[misc]
            assert await who.contacts() == {ivan.address}
        await accept(anna)
        await until(lambda: put_off(anna, "has not said yes or no"))
        assert not await boris.with_subject("You and Anna")  # nothing of a stranger's is filed
        assert await boris.contacts() == {ivan.address}
        await accept(boris)
        await until(lambda: have_met(anna, boris))
        assert await state(anna) is await state(boris) is State.MET
        await anna.write(boris.address)
        await until(lambda: is_filed(boris, "hello"))
        await boris.write(anna.address, subject="and back")
        await until(lambda: is_filed(anna, "and back"))
        found = await anna.node.contact_book.show("boris")
        assert not found.person.verified
        assert found.person.my_ticket is not None
        assert found.person.their_ticket is not None
        await until(lambda: noted(anna, f"introduction of {ivan.node.keyring.fingerprint}"))
        await accept(anna)  # once more: nothing
        assert len(await anna.with_subject("You and Boris")) == 1

    play(tmp_path, scene)


def test_two_who_are_never_on_together_are_introduced_through_their_holders(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await place.with_holders(anna, "hana")
        await place.with_holders(boris, "hugo")
        await asyncio.sleep(limits.HOUR)  # Ivan knows where their letters lie
        anna_is = anna.address
        await boris.sleep()
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_filed(anna, "ivan introduces Boris"))
        await accept(anna)
        await until(lambda: leased(anna), limits.HOUR)
        await until(lambda: leased(ivan), limits.HOUR)
        await asyncio.sleep(limits.MINUTE)  # at all holders, Hugo among them
        await anna.sleep()
        await ivan.sleep()
        await boris.wake()
        await until(lambda: is_filed(boris, "ivan introduces Anna"), limits.HOUR)
        await accept(boris)
        await until(lambda: is_filed(boris, "You and Anna"), limits.HOUR)
        assert anna_is in await boris.contacts()
        await until(lambda: leased(boris), limits.HOUR)
        await asyncio.sleep(limits.MINUTE)
        await boris.sleep()
        await anna.wake()
        await until(lambda: is_filed(anna, "You and Boris"), limits.HOUR)
        assert await state(anna) is State.MET

    play(tmp_path, scene)


def test_who_says_no_is_introduced_to_nobody_and_who_said_yes_reads_it(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await proposed(place)
        await accept(anna)
        await until(lambda: put_off(anna, "has not said yes or no"))
        row, introducer, remarks = (await boris.node.proposals.all())[0]
        assert (introducer, remarks) == ("ivan", ())
        await boris.node.proposals.decline(row.id)
        await until(lambda: has_notice(anna, "did not say yes to this introduction"), limits.HOUR)
        assert await is_in(anna, State.REFUSED)
        assert await anna.contacts() == await boris.contacts() == {ivan.address}
        with pytest.raises(PermanentFailure, match="was declined by you"):
            await accept(boris)
        with pytest.raises(PermanentFailure, match="was refused by the other"):
            await anna.node.proposals.decline((await anna.node.proposals.all())[0][0].id)
        # It can be proposed once more, and may come about then.
        await ivan.node.proposals.introduce("boris", "anna")
        await until(lambda: is_in(boris, State.OPEN))
        await until(lambda: is_in(anna, State.OPEN))
        await accept(boris)
        await accept(anna)
        await until(lambda: have_met(anna, boris), limits.HOUR)

    play(tmp_path, scene)


def test_a_proposal_on_which_nobody_decides_is_over_after_its_time(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await proposed(place)
        await accept(anna)
        await until(lambda: put_off(anna))
        place.put_forward(limits.PROPOSAL_SECONDS)
        with pytest.raises(PermanentFailure, match="is over: its time has passed"):
            await accept(boris)
        await until(lambda: has_notice(anna, "did not say yes to this introduction"), limits.HOUR)
        assert await boris.contacts() == {ivan.address}

    play(tmp_path, scene)


def test_whoever_is_told_first_may_say_yes_before_the_other_has_heard(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await until(lambda: settled(ivan))
        await boris.sleep()
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        await ivan.sleep()
        await accept(anna)
        await boris.wake()
        await until(lambda: put_off(anna, "has not heard of this introduction yet"), limits.HOUR)
        await ivan.wake()
        await until(lambda: is_in(boris, State.OPEN), limits.HOUR)
        await accept(boris)
        await until(lambda: have_met(anna, boris), limits.HOUR)

    play(tmp_path, scene)


def test_a_proposal_of_somebody_blocked_counts_no_more_and_reaches_nobody(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await proposed(place)
        await anna.node.contact_book.block("ivan")
        assert await is_in(anna, State.DECLINED)
        await boris.node.contact_book.remove("ivan", cancel_letters=True)
        assert await is_in(boris, State.DECLINED)
        before = len(await ivan.states())
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: all_refused(ivan, before))
        assert await has_notice(ivan, "does not want letters from you")
        assert await has_notice(ivan, "takes letters from contacts only")
        assert len(await anna.with_subject("ivan introduces")) == 1
        with pytest.raises(PermanentFailure, match="You have no contact called 'nobody'"):
            await ivan.node.proposals.introduce("anna", "nobody")
        with pytest.raises(PermanentFailure, match="knows themselves"):
            await ivan.node.proposals.introduce("anna", "Anna")
        await ivan.node.contact_book.block("boris")
        with pytest.raises(PermanentFailure, match="You have blocked boris"):
            await ivan.node.proposals.introduce("anna", "boris")

    play(tmp_path, scene)


def test_of_somebody_known_by_name_but_not_by_key_the_owner_is_warned(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        other = Resident(place, "boris", b"another person's words, and more")
        other.folder = place.folder / "other"
        place.residents.append(other)
        await other.wake()
        await place.meet(anna, other)
        await anna.node.contact_book.verify("boris", None, matches=True)
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_filed(anna, "ivan introduces Boris"))
        (told,) = await anna.with_subject("ivan introduces Boris")
        assert b"WARNING: you have a contact boris with such a name" in told
        assert boris.address.encode() in told
        await until(lambda: is_in(boris, State.OPEN))
        await accept(anna)
        await accept(boris)
        await until(lambda: is_in(anna, State.MET), limits.HOUR)
        both = {person.name: person for person in await anna.node.contact_book.all()}
        assert (both["boris"].address, both["boris"].verified) == (other.address, True)
        assert (both["boris-2"].address, both["boris-2"].verified) == (boris.address, False)

    play(tmp_path, scene)


def test_of_a_contact_or_somebody_blocked_the_owner_is_told_and_nothing_changes_by_itself(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await place.meet(anna, boris)
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        assert "among your contacts already" in (await anna.node.proposals.all())[0][2][0]
        await anna.node.contact_book.block("boris")
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        assert "whom you have blocked" in (await anna.node.proposals.all())[0][2][0]
        with pytest.raises(PermanentFailure, match="You have blocked boris"):
            await accept(anna)

    play(tmp_path, scene)


def proposal_of(signer: Resident, *pair: Fingerprint, record: PersonRecord) -> Proposal:
    """Signed by whoever says so, whoever it names."""
    keys, now = signer.node.keyring, signer.clock.now()
    (one, other), until_then = sorted(pair), int(now) + limits.PROPOSAL_SECONDS
    word = Word(keys.fingerprint, one, other, b"s" * 16, until_then)
    signature = keys.device.sign(CONTEXT, encode(word))
    return Proposal(SignedWord(word, signature, keys.certificate), encode(record))


def own(who: Resident) -> Fingerprint:
    return who.node.keyring.fingerprint


async def record_of(who: Resident) -> PersonRecord:
    return await who.node.renter.record()


async def send(author: Resident, to: Resident, proposal: Proposal) -> None:
    """As a node that keeps to no rule would."""
    address, nonce = to.node.keyring.address, Nonce(author._dice.token(16))
    octets = f"From: {author.address}\r\nSubject: trust me\r\n\r\nTrust me.\r\n".encode()
    until_then = author.clock.now() + limits.DAY

    def work(sql: Sql) -> None:
        outbox = author.node.outbox
        outbox.propose(sql, address, octets, proposal, nonce, until_then)  # type: ignore[arg-type]

    await author.node.database.run(work)
    author.node.sender.wake()


def test_hostile_proposals_are_refused_and_their_words_are_shown_to_nobody(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        (mallory,) = await place.settle_in("mallory")
        his, hers, its = await asyncio.gather(*map(record_of, (boris, anna, ivan)))
        pair = own(anna), own(boris)
        good = proposal_of(ivan, *pair, record=his)
        wrong = {
            "somebody else's record": proposal_of(ivan, *pair, record=hers),
            "not for her": proposal_of(ivan, own(mallory), own(boris), record=his),
            "another's word": proposal_of(boris, own(anna), own(mallory), record=his),
            "no record": Proposal(good.signed, b"x"),
            "a changed word": Proposal(
                SignedWord(good.signed.word, bytes(64), good.signed.certificate), good.record
            ),
            "the introducer himself": proposal_of(ivan, own(anna), own(ivan), record=its),
            "she herself": proposal_of(ivan, own(anna), own(anna), record=hers),
        }
        for what, proposal in wrong.items():
            await send(ivan, anna, proposal)
            await until(lambda: ended(ivan, "refused"))
            assert not await anna.node.proposals.all(), what
        assert await has_notice(ivan, "did not say yes to this introduction")
        await send(ivan, anna, good)
        await until(lambda: is_in(anna, State.OPEN))
        assert not [one for one in await anna.inbox() if b"Trust me" in one]
        (told,) = await anna.with_subject("ivan introduces Boris")
        assert boris.address.encode() in told

    play(tmp_path, scene)


def test_one_contact_cannot_fill_the_owner_s_inbox_with_proposals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROPOSALS_OPEN_MAX", 2)

    async def scene(place: Village) -> None:
        ivan, anna, _ = await three(place)
        carl, dora = await place.settle_in("carl", "dora")
        await place.meet(ivan, carl, dora)
        for name in ("boris", "carl"):
            await ivan.node.proposals.introduce("anna", name)
        await until(lambda: is_filed(anna, "ivan introduces Carl"))
        await until(lambda: is_filed(anna, "ivan introduces Boris"))
        await ivan.node.proposals.introduce("dora", "anna")
        await until(lambda: has_notice(ivan, "did not say yes to this introduction"))
        assert len(await anna.node.proposals.all()) == 2

    play(tmp_path, scene)


def test_an_introduction_without_a_yes_of_the_owner_s_makes_nobody_a_contact(
    tmp_path: Path,
) -> None:
    """By the introducer, who knows the secret; and by somebody whom nobody proposed."""

    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        (mallory,) = await place.settle_in("mallory")
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        row = (await anna.node.proposals.all())[0][0]
        await accept(anna)
        await introduce_oneself(mallory, anna, row.signed)
        await until(lambda: ended(mallory, "refused"))
        forged = proposal_of(mallory, own(anna), own(boris), record=await record_of(boris))
        await introduce_oneself(boris, anna, forged.signed)  # whom she did say yes to: that counts
        await until(lambda: is_in(anna, State.MET))
        assert mallory.address not in await anna.contacts()

    play(tmp_path, scene)


async def introduce_oneself(author: Resident, to: Resident, word: SignedWord) -> None:
    """Send an introduction with this word, as if its owner had said yes."""
    address, mine = to.node.keyring.address, await author.node.renter.record()
    theirs = await to.node.renter.record()
    said = Introduction(word.word.secret, b"t" * 16, encode(mine), word)
    octets = letters.write(
        author.node.keyring.address,
        address,
        Occasion.PROPOSAL_ACCEPTED,
        now=author.clock.now(),
        token=author._dice.token(16),
    )
    nonce = Nonce(author._dice.token(16))

    def work(sql: Sql) -> None:
        now = author.clock.now()
        if people.contact(sql, theirs.fingerprint) is None:
            people.add_contact(sql, theirs, now, my_ticket=None, their_ticket=None)
        author.node.outbox.introduce(sql, address, octets, said, nonce)

    await author.node.database.run(work)
    author.node.sender.wake()


async def leased(who: Resident) -> bool:
    """Whether all that waits lies at a holder."""
    return all(row.parcel.state.value == "held" for row in await who.waiting())


async def settled(who: Resident) -> bool:
    return not await who.waiting()


async def all_refused(who: Resident, after: int) -> bool:
    return set((await who.states())[after:]) == {"refused"}


async def noted(who: Resident, words: str) -> bool:
    """Whether the audit log has an entry that says so."""

    def look(sql: Sql) -> bool:
        return any(words in row.line.decode() for row in audit.rows(sql)[0])

    return await who.node.database.read(look)
