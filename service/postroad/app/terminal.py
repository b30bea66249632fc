"""What is asked of the owner, and shown to them, while a command of theirs is at work.

Purpose: the 24 words, from a terminal or from stdin; and how far a long piece of work is.
Invariants: words are never seen while they are typed, and stand in no argument. With --json nothing
is asked: they are read from stdin.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from postroad.app.tongue import _

if TYPE_CHECKING:
    from postroad.sealing.keys import Identity

WORDS_BYTES_MAX = 4096
Seen = Callable[[int, int], None]
"""Hears how much is done, of how much."""


def identity_asked(json_wanted: bool) -> "Identity":
    """Who the 24 words say that it is; PermanentFailure in words when they are none."""
    from postroad.sealing.keys import identity_from_words

    if json_wanted or not sys.stdin.isatty():
        return identity_from_words(sys.stdin.buffer.read(WORDS_BYTES_MAX).decode(errors="replace"))
    return identity_from_words(str(click.prompt(_("Your 24 words"), err=True, hide_input=True)))


@contextmanager
def progress(label: str, json_wanted: bool) -> Iterator[Seen]:
    """How far it is, on a terminal; nothing for programs."""
    hidden = json_wanted or not sys.stderr.isatty()
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=hidden) as bar:

        def seen(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(max(0, done - bar.pos))

        yield seen
