"""What really holds for a process in the sandbox, as it sees it itself: `postroad service trial`.

Purpose: directives that a kernel or a systemd does not enforce return success and do nothing, so
what counts is tried. Each fact has a name that is shown when it does not hold.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postroad.app.config import Config


def holds(config: Config) -> dict[str, bool]:
    status = Path("/proc/self/status").read_text("ascii")
    return {
        "its own data folder can be written": _can_write(config.data),
        "nothing else of the home can be": not _can_write(Path.home()),
        "nothing of the home can be read": not _has_more(Path.home(), config),
        "the system cannot be written": not _can_write(Path("/usr")),
        "no new privileges": "NoNewPrivs:\t1" in status,
        "a filter of system calls": "Seccomp:\t2" in status,
        "users of its own": Path("/proc/self/uid_map").read_text("ascii").split()[2] == "1",
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


def _has_more(home: Path, config: Config) -> bool:
    """Whether something of the home is there that is not on the way to what is ours."""
    with suppress(OSError):
        for one in home.iterdir():
            if one.is_file() and not config.data.is_relative_to(one):
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
