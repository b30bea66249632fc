"""The vectors of docs/protocol/invitation.md: links, and what nobody may take for one."""

from __future__ import annotations

import base64

from postroad.base.ids import Ticket
from postroad.protocol import helping, link_text
from postroad.protocol.invitation import SCHEME, Invitation, to_link
from vectors.world import CONTACTS, DAY, NOW, OLD, WEAK_CONTACT, contact

EXPIRES = int(NOW) + 14 * DAY


def invitation(*names: str) -> str:
    return to_link(
        Invitation(
            OLD.public.fingerprint,
            b"\x0a" * 16,
            Ticket(b"\x0b" * 16),
            EXPIRES,
            tuple(CONTACTS[name] for name in names),
        )
    )


def octets(*contacts: bytes, version: int = 1, fingerprint: str | None = None) -> bytes:
    who = base64.b32decode((fingerprint or OLD.public.fingerprint).upper())
    written = bytes([version]) + who + b"\x0a" * 16 + b"\x0b" * 16 + EXPIRES.to_bytes(5, "big")
    return written + b"".join(bytes([len(one)]) + one for one in contacts)


def helper(where: bytes, version: int = 1) -> bytes:
    return bytes([version]) + b"\x0c" * 16 + EXPIRES.to_bytes(5, "big") + where


def _loose(link: str) -> str:
    """The same octets in another text: bits of the last character that mean nothing."""
    characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return link[:-1] + characters[characters.index(link[-1]) | 1]


def _bad() -> dict[str, str]:
    bare, full = contact("contact-bare"), contact("contact-full")

    def link(written: bytes) -> str:
        return link_text.write(SCHEME, written)

    good = link(octets(full))
    # Of bytes that fill no group of four characters, so that a padding and loose bits have a place.
    loose = link(octets(bare, bare)) if len(octets(bare, bare)) % 3 != 2 else link(octets(bare))
    fingerprint = OLD.public.fingerprint
    mistyped = fingerprint[:-1] + ("a" if fingerprint[-1] != "a" else "b")
    at = len(SCHEME) + 40
    other = "A" if good[at] != "A" else "B"
    return {
        "scheme": good.replace(SCHEME, "postroad-helper:"),
        "damaged": good[:at] + other + good[at + 1 :],
        "cut-short": good[:-1],
        "version": link(octets(full, version=2)),
        "fingerprint": link(octets(full, fingerprint=mistyped)),
        "no-contact": link(octets()),
        "four-contacts": link(octets(*[bare] * 4)),
        "contact-weak": link(octets(WEAK_CONTACT)),
        "contact-cut": link(octets(full)[:-1]),
        "too-long": link(octets(full, full, full)),
        "padding": loose + "=" * (-len(loose.removeprefix(SCHEME)) % 4),
        "loose-bits": _loose(loose),
        "strange-character": good[:at] + "+" + good[at + 1 :],
    }


def _bad_helpers() -> dict[str, str]:
    full = contact("contact-full")

    def link(written: bytes) -> str:
        return link_text.write(helping.SCHEME, written)

    return {
        "version": link(helper(full, version=2)),
        "contact-weak": link(helper(WEAK_CONTACT)),
        "more-behind": link(helper(full + b"\0")),
        "scheme": link_text.write(SCHEME, helper(full)),
    }


def vectors() -> dict[str, bytes]:
    wrapped = invitation("contact-bare")
    found = {
        "invitation-one": invitation("contact-full"),
        "invitation-two": invitation("contact-bare", "contact-relay-6"),
        "invitation-wrapped": "\r\n ".join((wrapped[:60], wrapped[60:])),
        "helper-link": link_text.write(helping.SCHEME, helper(contact("contact-full"))),
        **{f"no-invitation-{name}": link for name, link in _bad().items()},
        **{f"no-helper-link-{name}": link for name, link in _bad_helpers().items()},
    }
    return {name: link.encode("ascii") for name, link in found.items()}
