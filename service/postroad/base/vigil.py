"""Who hears that a key from outside was refused for what it is, wherever that was found out.

Purpose: weak keys are found deep in pure code, at some twenty places where keys come in; each
refusal is to be noted once, and no place may forget to. So the loader tells whoever keeps watch in
this task: a node's tasks, and what they do in the database thread, have inherited it from where the
node was built. It is the one thing that pure code says to anybody but its caller.
"""

from collections.abc import Callable
from contextvars import ContextVar

Watch = Callable[[str, bytes, str], None]
"""Hears of the kind of key, its bytes, and who brought it ("" when that is not known)."""

watch: ContextVar[Watch | None] = ContextVar("watch", default=None)
bringer: ContextVar[str] = ContextVar("bringer", default="")


def tell(kind: str, key: bytes) -> None:
    hears = watch.get()
    if hears is not None:
        hears(kind, key, bringer.get())
