"""Looks at this computer that need no right of root: /proc, the kernel's clock, file systems.

Purpose: facts for `postroad doctor`. Each look is quick, changes nothing, and says None where the
kernel does not tell us.
See: proc(5), adjtimex(2), user_namespaces(7).
"""

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
TIMEX_BYTES = 512  # more than the structure has anywhere
DENYING = (
    ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens at a port of this computer; `program` as far as we may know."""

    uid: int
    program: str


def listeners(port: int) -> list[Listener]:
    """All who listen at this TCP port, on any address."""
    found = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/self/net", table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.append(Listener(int(fields[7]), _program(fields[9])))
    return found


def _program(inode: str) -> str:
    """Which program has this socket open; "" where we may not look."""
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if any(os.readlink(one) == wanted for one in (process / "fd").iterdir()):
                    return (process / "comm").read_text(errors="replace").strip()
    return ""


def is_locked(path: Path) -> bool:
    """Whether some process keeps this file to itself by flock(2), as a node does with its folder's;
    False where the kernel does not tell."""
    with suppress(OSError):
        inode = path.stat().st_ino  # the device may be another one there, as on btrfs
        for line in Path("/proc/locks").read_text("ascii", errors="replace").splitlines():
            fields = line.split()
            if fields[1:2] == ["FLOCK"] and fields[5:6] and fields[5].endswith(f":{inode}"):
                return True
    return False


def clock_is_kept() -> bool | None:
    """Whether the kernel's clock is synchronized."""
    with suppress(OSError, AttributeError):
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
        if state >= 0:
            return state != TIME_ERROR
    return None


def file_system(folder: Path) -> str:
    """Its type, like ext4; "" where nobody knows."""
    best, kind = "", ""
    with suppress(OSError):
        path = os.path.realpath(folder)
        for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
            fields, _, after = line.partition(" - ")
            at = fields.split()[4].encode().decode("unicode_escape", errors="replace")
            is_above = path == at or path.startswith(at.rstrip("/") + "/")
            if is_above and len(at) >= len(best):
                best, kind = at, after.split()[0]
    return kind


def namespaces_line() -> str:
    """What to type so that the kernel gives user namespaces; "" where nothing denies them."""
    wanted = _giving()
    return f"sudo sysctl {' '.join(wanted)}" if wanted else ""


def denying_namespaces() -> list[str]:
    """The names of the settings by which the kernel denies user namespaces, or what they are good
    for."""
    return [setting.partition("=")[0] for setting in _giving()]


def _giving() -> list[str]:
    """The settings that would have to be others."""
    wanted = []
    for path, denies, setting in DENYING:
        with suppress(OSError):
            if Path(path).read_text("ascii").strip() == denies:
                wanted.append(setting)
    return wanted


def own_sandbox() -> dict[str, bool]:
    """What holds for this very process, as the kernel has it."""
    status = Path("/proc/self/status").read_text("ascii", errors="replace")
    mounts = {
        fields[4]: fields[5].split(",")
        for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
        if len(fields := line.split()) > 5
    }
    first = Path("/proc/self/uid_map").read_text("ascii").split()
    return {
        "no new privileges": "NoNewPrivs:\t1" in status,
        "a filter of system calls": "Seccomp:\t2" in status,
        "users of its own": first[2:3] == ["1"],
        "a system that cannot be written": "ro" in mounts.get("/", ())
        or "ro" in mounts.get("/usr", ()),
        "a home that is closed": "ro" in mounts.get("/home", ()) or "/root" in mounts,
    }


def is_shut_out(folder: Path) -> bool:
    """Whether a sandbox that we are in keeps this folder from us, or its contents from being
    written."""
    with suppress(OSError):
        if Path("/proc/self/uid_map").read_text("ascii").split()[2:3] != ["1"]:
            return False
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    return False
