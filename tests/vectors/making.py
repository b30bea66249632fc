"""All files of vectors, by the names of their pages."""

from __future__ import annotations

from collections.abc import Callable

from vectors import (
    of_bundle,
    of_directory,
    of_holders,
    of_invitation,
    of_letter,
    of_receipt,
    of_records,
    of_safety,
    of_strangers,
    of_tls,
    of_tlv,
    of_wire,
)

Normal = Callable[[str, bytes], bytes]
MAKERS: dict[str, Callable[[], dict[str, bytes]]] = {
    "tlv": of_tlv.vectors,
    "letter": of_letter.vectors,
    "receipt": of_receipt.vectors,
    "records": of_records.vectors,
    "invitation": of_invitation.vectors,
    "bundle": of_bundle.vectors,
    "wire": of_wire.vectors,
    "holders": of_holders.vectors,
    "directory": of_directory.vectors,
    "safety": of_safety.vectors,
    "tls": of_tls.vectors,
    "strangers": of_strangers.vectors,
}
NORMAL: dict[str, Normal] = {"letter": of_letter.normal, "records": of_records.normal}


def normal(page: str, name: str, octets: bytes) -> bytes:
    """A vector without what is random in it."""
    one = NORMAL.get(page)
    return octets if one is None else one(name, octets)


def kept(page: str, made: dict[str, bytes], there: dict[str, bytes]) -> dict[str, bytes]:
    """The new vectors; the old one where it differs in what is random alone."""
    found = {}
    for name, octets in made.items():
        old = there.get(name)
        is_same = old is not None and normal(page, name, old) == normal(page, name, octets)
        found[name] = old if is_same and old is not None else octets
    return found
