"""Invitations, as links. Nobody signs one: whoever has it may use it, and its check is against
accidents. So a mutation whose check was made anew counts as made without a key."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from mutating import octets
from mutating.report import Mutation
from postroad.protocol import link_text
from postroad.protocol.invitation import SCHEME

TARGET = "invitation"
_FINGERPRINT, _SECRET, _FIXED = 1, 21, 58


def mutations(link: str, dice: Random) -> Iterator[Mutation]:
    """Of the text; and of the octets, with their check made anew: all but ticket, expiry and
    contacts, which are not a secret's business (who has the secret was invited)."""
    inside = link_text.read(SCHEME, link)
    while True:
        if dice.random() < 0.5:
            how, changed = octets.broken(dice, link.encode())
            if link_text.unwrapped(changed.decode("latin-1")) == link:
                continue  # white space is taken out of a link: mail programs wrap it
            yield Mutation(TARGET, f"text: {how}", False, changed)
            continue
        how, changed = _inside(dice, inside)
        made = link_text.write(SCHEME, changed).encode()
        if changed != inside:
            yield Mutation(TARGET, f"octets, check made anew: {how}", False, made)


def _inside(dice: Random, inside: bytes) -> tuple[str, bytes]:
    match dice.randrange(6):
        case 0:
            return "version", bytes([dice.choice((0, 2, 255))]) + inside[1:]
        case 1:
            fingerprint = octets.flip(dice, inside[_FINGERPRINT:_SECRET])
            return "fingerprint", inside[:_FINGERPRINT] + fingerprint + inside[_SECRET:]
        case 2:
            secret = octets.flip(dice, inside[_SECRET : _SECRET + 16])
            return "secret", inside[:_SECRET] + secret + inside[_SECRET + 16 :]
        case 3:
            return "cut short", inside[: dice.randrange(1, _FIXED + 20)]
        case 4:
            return "extended", inside + bytes([dice.choice((0, 255))]) * dice.choice((1, 5, 40))
        case _:
            small = bytes([33, 0, 1]) + bytes(31)
            contacts = dice.choice((b"", small, inside[_FIXED:] * 4, bytes([34]) + bytes(34)))
            return "contacts", inside[:_FIXED] + contacts
