"""How the owner calls a contact: which names there may be, and which look alike.

Purpose: a name is shown beside letters, typed after commands, and written into other programs'
address books; it shall never be taken for somebody else's name or address.
Invariants: of a name that was checked, one line is shown as it is written; it begins with a letter
or a digit, so that it is neither an option nor a spreadsheet's formula. Two names of one `key` are
never given to two contacts. The list of look-alikes is short: the letters of Cyrillic and Greek
that are drawn like Latin ones, and what is mistaken for 1 and 0; it is no Unicode TR 39.
"""

import re
import unicodedata
from collections.abc import Container

from postroad.base.errors import PermanentFailure
from postroad.phrases import joined, phrase

CHARACTERS_MAX = 60
_TYPED_CHARACTERS_MAX = 1000  # with spaces and marks that go
_TOO_LONG = f"This name is too long: {CHARACTERS_MAX} characters are enough."
_MARKS_MAX = 2  # on one letter, one behind the other
# Letters and symbols by their category, and nothing to be seen of them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_ADDRESS = re.compile(r"[a-z2-7]{29,}")  # a fingerprint, or what would be taken for one
_LOOK_ALIKE = str.maketrans(
    "аеорсухіјѕкмтнвгԁԛԝӏһѵɡɑıɩαονρτυικχεηγβωϲ01i|",
    "aeopcyxljskmthbrdqwlhvgallaovptulkxenybwcolll",
)
_PAIRS = (("rn", "m"), ("vv", "w"))


def checked(text: str) -> str:
    """The name in its normal form; PermanentFailure says what is wrong with it."""
    if len(text) > _TYPED_CHARACTERS_MAX:  # thousands of marks would take long to be put in order
        raise PermanentFailure(_TOO_LONG)
    name = " ".join(unicodedata.normalize("NFC", text).split(" "))
    name = re.sub(" +", " ", name).strip(" ")
    if not name:
        raise PermanentFailure(phrase("A name needs at least one letter or digit."))
    if len(name) > CHARACTERS_MAX:
        raise PermanentFailure(_TOO_LONG)
    if not all(_is_shown(character) for character in name) or _is_heaped(name):
        raise PermanentFailure(
            joined(
                phrase(
                    "This name has characters that are not shown, or change how others are shown."
                ),
                phrase("Type it with letters, digits, spaces and signs alone, in one line."),
            )
        )
    if unicodedata.category(name[0])[0] not in "LN":
        raise PermanentFailure(phrase("A name begins with a letter or a digit."))
    plain = _plain(name)
    if "@" in plain or _ADDRESS.search(plain):
        raise PermanentFailure(phrase("This name looks like an address. Choose one that does not."))
    return name


def key(name: str) -> str:
    """What two names have in common that a reader could mistake for each other."""
    text = "".join(one for one in _plain(name) if unicodedata.category(one)[0] in "LN")
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def free(wanted: str, taken: Container[str]) -> str:
    """The name that is wanted, or with the first number behind it that makes it nobody else's."""
    if key(wanted) not in taken:
        return wanted
    number = 2
    while key(f"{wanted}-{number}") in taken:
        number += 1
    return f"{wanted}-{number}"


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFD", text).translate(_LOOK_ALIKE)


def _is_shown(character: str) -> bool:
    if character == " ":
        return True
    return unicodedata.category(character)[0] in "LMNPS" and character not in _INVISIBLE


def _is_heaped(name: str) -> bool:
    """Whether marks stand on one another until they cover the lines above."""
    marks = 0
    for character in name:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        if marks > _MARKS_MAX:
            return True
    return False
