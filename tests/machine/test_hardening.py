"""Nobody but root reads the memory of a running node, nor finds it in a core file."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from needed import needs

PROGRAM = """
import sys
from postroad.machine import hardening
if sys.argv[1] == "hardened":
    hardening.keep_memory_private()
print("ready", flush=True)
sys.stdin.read()
"""
INTRUDER = """
import ctypes, os, sys
pid = int(sys.argv[1])
for name in ("mem", "environ", "maps", "fd/0"):
    try:
        os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
        print(name, "open")
    except OSError as error:
        print(name, error.errno)
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
PTRACE_SEIZE = 0x4206
seized = libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0
print("ptrace", "attached" if seized else ctypes.get_errno())
"""
# Root without its capabilities is a user as any other; the owner of a node has none to begin with.
AS_A_USER = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
pytestmark = needs(*AS_A_USER[:1])


def begin(how: str, folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [*AS_A_USER, sys.executable, "-c", PROGRAM, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def tried(how: str, folder: Path) -> dict[str, str]:
    """What another process of the same user, without any capability, gets of one like this."""
    process = begin(how, folder)
    try:
        done = subprocess.run(
            [*AS_A_USER, sys.executable, "-c", INTRUDER, str(process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        process.kill()
        process.communicate()
    return dict(line.split() for line in done.stdout.splitlines())


def test_another_process_of_the_same_user_cannot_look_into_a_node(tmp_path: Path) -> None:
    found = tried("hardened", tmp_path)
    assert found == {"mem": "13", "environ": "13", "maps": "13", "fd/0": "13", "ptrace": "1"}


def test_without_hardening_it_can_so_the_test_above_shows_something(tmp_path: Path) -> None:
    found = tried("ordinary", tmp_path)
    if found["mem"] != "open":
        pytest.skip("not for a kernel that lets nobody trace (ptrace_scope)")
    assert found["environ"] == found["maps"] == "open"


@pytest.mark.parametrize(("how", "expected"), [("hardened", False), ("ordinary", True)])
def test_a_node_that_crashes_leaves_no_core(tmp_path: Path, how: str, expected: bool) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern or "|" in pattern:
        pytest.skip(f"not for a machine whose cores go to {pattern}")
    before = resource.getrlimit(resource.RLIMIT_CORE)
    most = resource.RLIM_INFINITY if os.geteuid() == 0 else before[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    try:
        process = begin(how, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    process.send_signal(signal.SIGABRT)
    process.communicate()
    if expected and not list(tmp_path.glob("core*")):
        pytest.skip("not for a machine that writes no cores at all")
    assert bool(list(tmp_path.glob("core*"))) == expected
