"""What the mail programs of a town do: write letters, look into the INBOX, mark and throw away.

Purpose: act as a person would, and tell the model what the program heard and saw; what was in hand
when its node died, it calls unknown.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from random import Random

from postroad.app.node import Node
from postroad.base.errors import PostroadError, TemporaryFailure
from postroad.message.envelope import NOTIFY_DEFAULT, Notify, Recipient, Submission
from postroad.store.database import Sql
from simulator.model import DELETED, SEEN, Answer, Look, Written
from simulator.town import Town
from simulator.village import Resident

NOTIFIES = (NOTIFY_DEFAULT,) * 5 + (Notify.NEVER, Notify.SUCCESS | Notify.FAILURE)


async def write(
    town: Town,
    number: int,
    dice: Random,
    person: Resident | None = None,
    to: tuple[str, ...] = (),
) -> None:
    """Somebody whose computer is on writes to some of their contacts; `person`: who; `to` whom."""
    senders = [one for one in town.people if one.is_on]
    if not senders:
        return
    person = person or dice.choice(senders)
    if not to:
        known = town.knows[person.name]
        to = tuple(dice.sample(known, min(len(known), dice.choice((1, 1, 1, 2, 3)))))
    size = dice.choice((200, 2_000, 2_000, 20_000, 90_000, 250_000))
    octets = (
        f"From: {town.addresses[person.name]}\r\nTo: {town.addresses[to[0]]}\r\n"
        f"Subject: letter {number}\r\nMessage-ID: <{number}@town>\r\n\r\n"
    ).encode()
    octets += b"".join(dice.randbytes(30).hex().encode() + b"\r\n" for _ in range(size // 62))
    notify = dice.choice(NOTIFIES)
    right_now = town.village.clock.now()
    letter = Written(
        number,
        person.name,
        to,
        hashlib.sha256(octets).digest(),
        notify,
        right_now + person.expiry_seconds,
    )
    town.model.wrote(letter)
    recipients = tuple(Recipient(town.addresses[one], notify) for one in to)
    life = person.lives
    nonce = ""
    try:
        nonce = await person.node.outbox.accept(Submission(recipients, octets))
    except TemporaryFailure:
        answer = Answer.REFUSED
    else:
        answer = Answer.ACCEPTED
    if person.lives == life and person.is_on:
        letter.answer, letter.nonce = answer, nonce
    town.happened(f"letters {letter.answer.name.lower()}", person.name)


async def read_mail(town: Town, person: Resident, dice: Random) -> None:
    """Look into the INBOX; mark something as read, throw something away."""
    if not person.is_on:
        return
    node, life = person.node, person.lives
    inbox = town.model.inbox(person.name)

    def is_alive() -> bool:
        return person.lives == life and person.is_on

    with suppress(PostroadError):
        mailbox_id = await look(town, person, node, is_alive)
        if mailbox_id is None or not inbox.flags:
            return
        uid, bits = dice.choice(sorted(inbox.flags)), dice.choice((SEEN, SEEN, DELETED))
        try:
            await node.mailboxes.change_flags(mailbox_id, (uid,), "+", bits, ())
        finally:
            town.model.flags_set(person.name, uid, bits, acknowledged=False)
        if not is_alive():
            return
        town.model.flags_set(person.name, uid, bits, acknowledged=True)
        if bits == DELETED:
            try:
                await node.mailboxes.expunge(mailbox_id, (uid,))
            except PostroadError:
                town.model.expunged(person.name, uid, acknowledged=False)
                raise
            town.model.expunged(person.name, uid, acknowledged=is_alive())


async def look(
    town: Town, person: Resident, node: Node, is_alive: Callable[[], bool]
) -> int | None:
    """One look as a mail program takes it; the mailbox's id, None if the node died over it."""
    known = town.model.inbox(person.name).flags.keys()

    def work(sql: Sql) -> tuple[int, Look]:
        mailbox_id, validity, uid_next, modseq = sql.execute(
            """SELECT id, uid_validity, uid_next, highest_modseq FROM mailbox
               WHERE name = 'INBOX'"""
        ).fetchone()
        rows = sql.execute(
            """SELECT uid, flags, content_id, internal_date FROM message
               WHERE mailbox_id = ? ORDER BY uid""",
            (mailbox_id,),
        ).fetchall()
        new = {
            uid: node.contents.get(sql, content_id)
            for uid, _, content_id, _ in rows
            if uid not in known
        }
        flags = {uid: bits for uid, bits, _, _ in rows}
        dates = {uid: date for uid, _, _, date in rows}
        return mailbox_id, Look(validity, uid_next, modseq, flags, new, dates)

    mailbox_id, seen = await node.database.read(work)
    if not is_alive():
        return None
    town.model.looked(person.name, seen)
    town.note(f"{person.name} has {len(seen.flags)} messages, {len(seen.new)} of them new")
    return mailbox_id
