"""Contacts for other programs' address books: vCard 4.0, and LDIF as Thunderbird imports it.

Purpose: whatever stands in a name, it comes out as a name and as nothing else: no field more, no
entry more. There is no CSV, because a spreadsheet that opens one takes some values for formulas.
Invariants: lines end with CRLF (vCard) or LF (LDIF), are folded between characters, and are at most
75 or 76 octets long.
See: RFC 6350 sections 3.2 to 3.4, RFC 2849, RFC 4514 section 2.4.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

VCARD_LINE_OCTETS_MAX = 75
LDIF_LINE_OCTETS_MAX = 76
_SAFE = re.compile(r"[!-9;=-~][ -~]*")  # and no control character, which RFC 2849 would allow
_OF_A_DN = re.compile(r'["+,;<>\\=]|^[ #]| $')


@dataclass(frozen=True, slots=True)
class Card:
    """`name`: checked by `message.nicknames`; `address`: in its normal form."""

    name: str
    address: str


def vcards(cards: Iterable[Card]) -> str:
    return "".join(_vcard(card) for card in cards)


def ldif(cards: Iterable[Card]) -> str:
    return "".join(_entry(card) for card in cards)


def _vcard(card: Card) -> str:
    local = card.address.partition("@")[0]
    lines = (
        "BEGIN:VCARD",
        "VERSION:4.0",
        "KIND:individual",
        f"UID;VALUE=text:{_escaped('postroad-' + local.rpartition('.')[2])}",
        f"FN:{_escaped(card.name)}",
        f"NICKNAME:{_escaped(card.name)}",
        f"EMAIL;PREF=1:{_escaped(card.address)}",
        "END:VCARD",
    )
    return "".join(_folded(line, VCARD_LINE_OCTETS_MAX, "\r\n") for line in lines)


def _escaped(text: str) -> str:
    """RFC 6350 section 3.4. A semicolon may stay as it is where a value has no parts, as here;
    Thunderbird would show the backslash."""
    for special in ("\\", ","):
        text = text.replace(special, "\\" + special)
    return re.sub(r"\r\n|\r|\n", r"\\n", text)


def _entry(card: Card) -> str:
    distinguished = f"cn={_of_a_dn(card.name)},mail={_of_a_dn(card.address)}"
    values = (
        ("dn", distinguished),
        ("objectclass", "top"),
        ("objectclass", "person"),
        ("objectclass", "organizationalPerson"),
        ("objectclass", "inetOrgPerson"),
        ("objectclass", "mozillaAbPersonAlpha"),
        ("cn", card.name),
        ("mozillaNickname", card.name),
        ("mail", card.address),
    )
    lines = (_folded(_attribute(*value), LDIF_LINE_OCTETS_MAX, "\n") for value in values)
    return "".join(lines) + "\n"


def _attribute(name: str, value: str) -> str:
    """In base64 whatever is not plain in LDIF: then no value can end its line."""
    if _SAFE.fullmatch(value) and not value.endswith(" "):
        return f"{name}: {value}"
    return f"{name}:: {base64.b64encode(value.encode()).decode()}"


def _of_a_dn(text: str) -> str:
    return _OF_A_DN.sub(lambda found: "\\" + found.group(), text)


def _folded(line: str, octets_max: int, end: str) -> str:
    """The line in pieces, each but the first behind a space; no character is cut."""
    pieces, piece, size = [], "", 0
    for character in line:
        octets = len(character.encode())
        if size + octets > octets_max:
            pieces.append(piece)
            piece, size = " ", 1
        piece += character
        size += octets
    return end.join([*pieces, piece]) + end
