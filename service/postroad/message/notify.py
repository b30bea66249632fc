"""What a mail program asks about notifications: the values of NOTIFY, ORCPT, RET and ENVID.

Each reader gives None for a value that RFC 3461 (or RFC 6533 for `utf-8` addresses) does not allow.
"""

import re

from postroad.message.envelope import Notify

ENVELOPE_ID_CHARACTERS_MAX = 100  # RFC 3461 section 4.4
ORIGINAL_CHARACTERS_MAX = 500  # section 4.2
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
# RFC 6533 section 3: characters written out as \x{...} where the channel carries ASCII only
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})*")
_PRINTABLE = re.compile(r"[ -~]*")
_NOTIFY = {
    "SUCCESS": Notify.SUCCESS,
    "FAILURE": Notify.FAILURE,
    "DELAY": Notify.DELAY,
}


def read_notify(value: str) -> Notify | None:
    """NOTIFY: NEVER alone, or some of SUCCESS, FAILURE and DELAY."""
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    wanted = Notify.NEVER
    for word in words:
        if word not in _NOTIFY:
            return None
        wanted |= _NOTIFY[word]
    return wanted


def read_envelope_id(value: str) -> str | None:
    """ENVID: its printable text, decoded."""
    return decode_xtext(value) if 0 < len(value) <= ENVELOPE_ID_CHARACTERS_MAX else None


def read_return_full(value: str) -> bool | None:
    """RET: whether the whole letter is to come back, or its header alone."""
    return {"FULL": True, "HDRS": False}.get(value.upper())


def decode_original(value: str) -> str | None:
    """ORCPT: `type;address` with the address decoded, as a notification shows it."""
    kind, separator, address = value.partition(";")
    if not separator or not address or len(value) > ORIGINAL_CHARACTERS_MAX:
        return None
    if not _ADDRESS_TYPE.fullmatch(kind):
        return None
    if kind.lower() == "utf-8":
        return f"{kind};{address}" if _UTF8_XTEXT.fullmatch(address) else None
    decoded = decode_xtext(address)
    return None if decoded is None else f"{kind};{decoded}"


def decode_xtext(value: str) -> str | None:
    """The printable ASCII text that was written as xtext (RFC 3461 section 4)."""
    if not _XTEXT.fullmatch(value):
        return None
    decoded = _HEXCHAR.sub(lambda found: chr(int(found.group(1), 16)), value)
    return decoded if _PRINTABLE.fullmatch(decoded) else None
