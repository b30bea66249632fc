"""What really holds for a process in the sandbox, as it sees it itself: `postroad service trial`.

Purpose: directives that a kernel or a systemd does not enforce return success and do nothing, so
what counts is tried. Each fact has a name that is shown when it does not hold.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postroad.app import sandbox
from postroad.app.config import Config
from postroad.machine import looks


def holds(config: Config) -> dict[str, bool]:
    home, ours = Path.home(), sandbox.open_folders(config)
    return {
        "its own data folder can be written": _can_write(config.data),
        "its own runtime folder can be written": _can_write(config.runtime),
        "nothing else of the home can be": not _can_write(home),
        "nothing else of the home can be read": not has_more(home, ours),
        **looks.own_sandbox(),
        "loopback": _has_loopback(),
        "what seals and sends works": _works(),
    }


def _can_write(folder: Path) -> bool:
    path = folder / f".trial-{os.getpid()}"
    with suppress(OSError):
        path.touch()
        path.unlink()
        return True
    return False


def has_more(folder: Path, ours: Sequence[Path]) -> bool:
    """Whether anything is in there that is neither ours nor on the way to it."""
    with suppress(OSError):
        for one in folder.iterdir():
            if one in ours:
                continue
            is_on_the_way = any(each.is_relative_to(one) for each in ours)
            if not is_on_the_way or one.is_symlink() or has_more(one, ours):
                return True
    return False


def _has_loopback() -> bool:
    with (
        suppress(OSError),
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_connection(door.getsockname()),
    ):
        return True
    return False


def _works() -> bool:
    """The modules of others that bring machine code of their own, under MemoryDenyWriteExecute."""
    from postroad.machine import iroh_network

    key = Ed25519PrivateKey.generate()
    return len(key.sign(b"")) == 64 and iroh_network is not None
