"""What anybody does to octets without understanding them."""

from collections.abc import Callable
from random import Random


def flip(dice: Random, octets: bytes) -> bytes:
    """Some bits turned."""
    broken = bytearray(octets)
    for _ in range(dice.choice((1, 1, 1, 2, 8))):
        broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
    return bytes(broken)


def truncate(dice: Random, octets: bytes) -> bytes:
    return octets[: dice.randrange(len(octets))]


def extend(dice: Random, octets: bytes) -> bytes:
    more = dice.choice((b"\0", dice.randbytes(16), octets[-1232:], dice.randbytes(1232), octets))
    return dice.choice((octets + more, octets + more, more + octets))


def swap(dice: Random, octets: bytes) -> bytes:
    """Two runs of octets in each other's place."""
    size = dice.choice((1, 4, 16, 32, 64))
    first = dice.randrange(max(1, len(octets) - 2 * size))
    second = dice.randrange(first + size, max(first + size + 1, len(octets) - size + 1))
    one, other = octets[first : first + size], octets[second : second + size]
    return octets[:first] + other + octets[first + size : second] + one + octets[second + size :]


def cut_out(dice: Random, octets: bytes) -> bytes:
    size = dice.choice((1, 3, 16, 64))
    at = dice.randrange(max(1, len(octets) - size))
    return octets[:at] + octets[at + size :]


def repeat(dice: Random, octets: bytes) -> bytes:
    """A run of octets stands twice."""
    size = dice.choice((1, 3, 16, 64))
    at = dice.randrange(max(1, len(octets) - size))
    return octets[: at + size] + octets[at:]


def blank(dice: Random, octets: bytes) -> bytes:
    size = dice.choice((1, 4, 16, 32))
    at = dice.randrange(max(1, len(octets) - size))
    return octets[:at] + bytes(size) + octets[at + size :]


WAYS: tuple[Callable[[Random, bytes], bytes], ...] = (
    flip, flip, truncate, extend, swap, cut_out, repeat, blank
)  # fmt: skip


def broken(dice: Random, octets: bytes) -> tuple[str, bytes]:
    """What was done, and what came of it, which is never what it was."""
    while True:
        way = dice.choice(WAYS)
        changed = way(dice, octets)
        if changed != octets:
            return way.__name__, changed
