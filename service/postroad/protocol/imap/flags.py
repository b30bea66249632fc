"""Flags of a message: the system flags as bits, keywords as text.

See: RFC 9051 section 2.3.2; RFC 3501 section 2.3.2 for Recent.
"""

from enum import IntFlag

from postroad.base.errors import PermanentFailure

KEYWORDS_MAX = 64  # of one message
KEYWORD_BYTES_MAX = 64


class Flag(IntFlag):
    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16
    RECENT = 128  # of a session, never stored


STORED_FLAGS = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT
NAMES: dict[Flag, bytes] = {
    Flag.ANSWERED: b"\\Answered",
    Flag.FLAGGED: b"\\Flagged",
    Flag.DELETED: b"\\Deleted",
    Flag.SEEN: b"\\Seen",
    Flag.DRAFT: b"\\Draft",
    Flag.RECENT: b"\\Recent",
}
_BY_NAME = {name.lower(): flag for flag, name in NAMES.items() if flag is not Flag.RECENT}
_LISTED = [b" ".join(name for flag, name in NAMES.items() if bits & flag) for bits in range(256)]


def read_flags(listed: list[bytes]) -> tuple[int, tuple[str, ...]]:
    """The bits and the keywords of a flag list; raises PermanentFailure for what cannot be kept."""
    bits, keywords = 0, []
    for flag in listed:
        if flag.startswith(b"\\"):
            known = _BY_NAME.get(flag.lower())
            if known is not None:
                bits |= known
            elif flag.lower() != b"\\recent":  # some clients send it back; it is ours alone
                raise PermanentFailure(f"There is no flag {flag.decode('ascii')}.")
        else:
            keywords.append(flag.decode("ascii"))
    checked_keywords(keywords)
    return bits, tuple(keywords)


def checked_keywords(keywords: list[str]) -> None:
    if len(keywords) > KEYWORDS_MAX or any(len(one) > KEYWORD_BYTES_MAX for one in keywords):
        raise PermanentFailure(
            f"A message has at most {KEYWORDS_MAX} keywords of {KEYWORD_BYTES_MAX} characters."
        )


def write_flags(bits: int, keywords: str) -> bytes:
    """The list as it goes over the wire, without its brackets."""
    listed = _LISTED[bits & 255]
    if not keywords:
        return listed
    return listed + b" " * bool(listed) + keywords.encode("ascii", "replace")


def merged(have: str, keywords: tuple[str, ...], mode: str) -> str:
    """Keywords after adding ("+"), taking away ("-") or replacing (""); case keeps, not counts."""
    mine = {} if mode == "" else {one.lower(): one for one in have.split()}
    for keyword in keywords:
        if mode == "-":
            mine.pop(keyword.lower(), None)
        else:
            mine.setdefault(keyword.lower(), keyword)
    return " ".join(sorted(mine.values()))
