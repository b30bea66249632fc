"""A POP3 session with a few letters behind it: what its errands are answered, and what it says."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from postroad.protocol import pop3 as p

ERRANDS_MAX = 2000
LETTERS = {3: b"A: 1\r\n\r\nyes\r\n.\r\nno\r\n", 5: b"B: 2\r\n\r\n", 9: b""}


@dataclass
class World:
    letters: Mapping[int, bytes] = field(default_factory=lambda: LETTERS)
    gone: frozenset[int] = frozenset()
    failing: frozenset[type] = frozenset()  # errands
    removed: list[tuple[int, ...]] = field(default_factory=list)
    kept: int = 0  # of those that are removed
    piece_bytes: int = 7  # given out at once
    _open: bytes = b""

    def answer(self, errand: p.Errand) -> p.Answer:
        if type(errand) in self.failing:
            return p.Failed("The disk is full.")
        match errand:
            case p.CheckPassword(user, password):
                return p.PasswordChecked((user, password) == ("anna", b"se cret"))
            case p.LookIntoMaildrop():
                sizes = array("Q", map(len, self.letters.values()))
                return p.Maildrop(7, array("I", self.letters), sizes)
            case p.OpenLetter(uid):
                self._open = self.letters[uid]
                return p.Gone() if uid in self.gone else p.LetterOpened(len(self._open))
            case p.ReadOn():
                piece, self._open = self._open[: self.piece_bytes], self._open[self.piece_bytes :]
                return p.Piece(piece)
            case p.Remove(uids):
                self.removed.append(uids)
                return p.Removed(self.kept)
            case p.MakeRoom():
                pass
        return p.Done()


def talk(pieces: Iterable[bytes], world: World | None = None) -> bytes:
    """All that a session says to a client that says this, piece by piece."""
    world = world or World()
    session = p.Session()
    said, asked = session.take_output(), 0
    for piece in pieces:
        errand = session.receive(piece)
        while errand is not None:
            said += session.take_output()
            asked += 1
            assert asked < ERRANDS_MAX
            errand = session.answer(world.answer(errand))
        said += session.take_output()
        if session.closing:
            break
    return said


def answers(*lines: bytes, world: World | None = None) -> list[bytes]:
    """What is said to each of these lines, without the greeting."""
    said = talk((b"".join(line + b"\r\n" for line in lines),), world)
    assert said.startswith(GREETING)
    return said.removeprefix(GREETING).split(b"\r\n")[:-1]


GREETING = b"+OK Postroad is ready.\r\n"
LOGIN = (b"USER anna", b"PASS se cret")
