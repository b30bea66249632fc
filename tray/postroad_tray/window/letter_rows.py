"""What the queue says of each letter on its way: a row of the table, and sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from postroad.contract import MessageState
from postroad_tray import plain
from postroad_tray.ages import ago, ahead, lasting
from postroad_tray.facts import Message, Picture
from postroad_tray.state import queue_sentence, stopped
from postroad_tray.tongue import _, many
from postroad_tray.window.cells import Cell, Column, Row
from postroad_tray.window.shapes import Mark

FINGERPRINT_SHOWN = 6  # characters of it, where a stranger's address is told apart

_MARKS: Mapping[MessageState, Mark] = {
    MessageState.WAITING: Mark.WORKING,
    MessageState.HELD: Mark.WAITING,
    MessageState.LATE: Mark.ATTENTION,
    MessageState.REQUESTED: Mark.WAITING,
    MessageState.DELIVERED: Mark.OK,
    MessageState.FAILED: Mark.BROKEN,
    MessageState.CANCELLED: Mark.OFF,
}


def columns() -> tuple[Column, ...]:
    return (
        Column(_("To"), _("Whom the letter is for"), letters=16),
        Column(_("Age"), _("How long ago your mail program handed it over"), letters=8),
        Column(_("Why it waits"), letters=24, stretches=True),
        Column(_("Copies"), _("How many nodes keep it for its recipient")),
        Column(_("Next try"), _("When your node tries again by itself"), letters=10),
    )


def row(letter: Message, names: Mapping[str, str], now: float) -> Row:
    age = now - letter.accepted_at
    return Row(
        letter.object_path,
        (
            Cell(whom(letter, names), whom(letter, names).casefold(), spoken=letter.recipient),
            Cell(
                lasting(age), float(letter.accepted_at), spoken=ago(letter.accepted_at, now)
            ),
            Cell(why(letter), why(letter), mark=_MARKS[letter.state]),
            Cell(str(letter.holders), float(letter.holders), copies(letter), is_number=True),
            Cell(
                ahead(letter.next_try_at, now) or "–",
                float(letter.next_try_at),
                spoken=next_try(letter, now),
            ),
        ),
    )


def names_of(picture: Picture) -> Mapping[str, str]:
    """What the owner calls those whom they write to."""
    return {one.address: one.name for one in picture.contacts if one.address and one.name}


def whom(letter: Message, names: Mapping[str, str]) -> str:
    return names.get(letter.recipient) or short(letter.recipient) or _("somebody")


def short(address: str) -> str:
    """An address by which a person tells it from others: all of it is in the tooltip."""
    local, at, _domain = address.rpartition("@")
    name, dot, fingerprint = local.partition(".")
    if not (at and dot) or len(fingerprint) <= FINGERPRINT_SHOWN:
        return address
    return f"{name}.{fingerprint[:FINGERPRINT_SHOWN]}…"


def why(letter: Message) -> str:
    if letter.reason:
        return letter.reason
    match letter.state:
        case MessageState.WAITING:
            return _("It is being sent.")
        case MessageState.HELD:
            return _("It is safe, and waits for the recipient.")
        case MessageState.LATE:
            return _("It has been under way for more than a day.")
        case MessageState.REQUESTED:
            return _("The recipient does not know you yet, and has not answered.")
        case MessageState.DELIVERED:
            return _("It has arrived.")
        case MessageState.FAILED:
            return _("It came back.")
        case MessageState.CANCELLED:
            return _("It was given up.")


def copies(letter: Message) -> str:
    if not letter.holders:
        return _("No node keeps it yet: it is on this computer alone.")
    return many(
        "{n} node keeps it for the recipient.", "{n} nodes keep it for the recipient.",
        letter.holders,
    )  # fmt: skip


def next_try(letter: Message, now: float) -> str:
    when = ahead(letter.next_try_at, now)
    if not when:
        return _("No other try is planned.")
    tries = many("It was tried once.", "It was tried {n} times.", letter.tries)
    return _("Tried again {when}. {tries}").format(when=when, tries=tries)


def summary(picture: Picture) -> str:
    if not picture.is_there:
        return _("What is under way is not known while Postroad does not answer.")
    return stopped(queue_sentence(picture))


def left_out(picture: Picture) -> str:
    """That there are more than are shown."""
    shown, count = len(picture.messages), picture.node.parcels_under_way
    if count <= shown:
        return ""
    return many("The oldest one is shown.", "The oldest {n} are shown.", shown)


def sentence(letter: Message, names: Mapping[str, str], now: float) -> str:
    """All of the row, for reading."""
    return " ".join(
        (
            _("To {whom}, {age}.").format(
                whom=plain.apart(whom(letter, names)), age=ago(letter.accepted_at, now)
            ),
            plain.apart(why(letter)),
            copies(letter),
            next_try(letter, now),
        )
    )


def cancel_question(count: int, recipient: str) -> str:
    if count == 1:
        return _("Give up the letter to {whom}?").format(whom=plain.apart(recipient))
    return many("Give up {n} letter?", "Give up {n} letters?", count)


def cancel_warning() -> str:
    return _("Where a holder has it already, it may still be delivered.")


def tried(count: int) -> str:
    return many("{n} letter is tried now.", "{n} letters are tried now.", count)


def cancelled(count: int, had_left: int) -> str:
    """`had_left`: how many of them were on their way already."""
    said = many("{n} letter is given up.", "{n} letters are given up.", count)
    if not had_left:
        return said
    more = many(
        "{n} had left this computer, and may still be delivered.",
        "{n} had left this computer, and may still be delivered.",
        had_left,
    )
    return f"{said} {more}"
