"""What two people compare by machine: the code behind a safety number's QR, or the digits typed.

Layout of the bytes behind `postroad-verify:` (`link_text`): version u8 = 1 | SHA-256 of the keys of
who shows it 32 | the same of whom they show it to 32. It is no secret, and proves nothing that did
not come on a way that nobody else can write to: whoever stands in between can make one, too.
"""

from enum import Enum

from postroad.base.errors import PermanentFailure
from postroad.phrases import phrase
from postroad.protocol import link_text
from postroad.sealing.safety import DIGITS, GROUPS, Keys

SCHEME = "postroad-verify:"
VERSION = 1
_BYTES = 1 + 32 + 32
_BETWEEN_GROUPS = str.maketrans("", "", " \t\r\n-.,")


class Comparison(Enum):
    MATCHES = "matches"
    OWN = "own"  # it is what our own screen shows
    SOMEBODY_ELSES = "somebody else's"  # who shows it has other keys than the contact
    FOR_SOMEBODY_ELSE = "for somebody else"  # they show it to somebody with other keys than ours
    DIFFERENT = "different"  # digits: another number


def code(mine: Keys, theirs: Keys) -> str:
    """What we show to them."""
    return link_text.write(SCHEME, bytes([VERSION]) + mine.digest + theirs.digest)


def compare(text: str, mine: Keys, theirs: Keys, number: tuple[str, ...]) -> Comparison:
    """What the code that they showed, or the digits that they read out, say of us both;
    PermanentFailure when it is neither."""
    written = link_text.unwrapped(text)
    if not written.startswith(SCHEME):
        return _compare_digits(text, number)
    try:
        octets = link_text.read(SCHEME, written)
    except link_text.LinkDamaged as error:
        raise PermanentFailure(f"This code was damaged on the way ({error}): scan again.") from (
            error
        )
    if octets[0] != VERSION or len(octets) != _BYTES:
        raise PermanentFailure(phrase("This code needs another Postroad; update yours and theirs."))
    shown_by, shown_to = octets[1:33], octets[33:]
    if (shown_by, shown_to) == (mine.digest, theirs.digest):
        return Comparison.OWN
    if shown_by != theirs.digest:
        return Comparison.SOMEBODY_ELSES
    return Comparison.MATCHES if shown_to == mine.digest else Comparison.FOR_SOMEBODY_ELSE


def _compare_digits(text: str, number: tuple[str, ...]) -> Comparison:
    digits = text.translate(_BETWEEN_GROUPS)
    wanted = 2 * GROUPS * DIGITS
    if not (digits.isascii() and digits.isdigit()) or len(digits) != wanted:
        raise PermanentFailure(
            f"This is no safety number: it has {2 * GROUPS} groups of {DIGITS} digits. Type all of "
            f"them, or what a camera reads from the other's code ({SCHEME}...)."
        )
    return Comparison.MATCHES if digits == "".join(number) else Comparison.DIFFERENT
