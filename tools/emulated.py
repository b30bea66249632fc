#!/usr/bin/env python3
"""Boot Ubuntu 24.04 with its own kernel in an emulated computer, and run tests/apparmor in it.

Purpose: what belongs to the kernel and not to the system, which systemd-nspawn shares with this
machine: AppArmor, and what Ubuntu denies by it. qemu runs the kernel, with KVM where that knows all
of its instructions, else by itself. Invariants: it has no network but loopback; what is asked goes
through a port (inside_emulated.py); it ends with us, and its disk with it. Every wait has an end.
For root. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import deb
import roots
import systems
from environment import CACHE, Stopped, one_at_a_time, say
from roots import Unavailable
from whole_system import Done, WholeSystem, Words

SUITE = "noble"
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs"}
PACKAGES = ("linux-image-virtual", "apparmor")
DISK = "3G"
SLOWNESS = 6  # how many times longer a command may take than in a system that is not emulated
KERNEL_SECONDS_MAX = 20
BOOT_SECONDS_MAX = 300
FETCH_SECONDS_MAX = 300
LOOK_AGAIN_SECONDS = 0.1
ANSWERING = """[Unit]
DefaultDependencies=no
After=sysinit.target
[Service]
ExecStart=/usr/bin/python3 /opt/inside_emulated.py
Environment=LANG=C.UTF-8 HOME=/root
[Install]
WantedBy=sysinit.target
"""
WHERE = Path(__file__).resolve().parent


def lacking() -> str:
    """Why nothing can be emulated here, with the line to type if there is one; empty: it can."""
    if os.geteuid() != 0:
        return "Making a disk with a system on it is for root. Type: sudo make test-apparmor"
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    packages += roots.lacking() + deb.lacking()
    if packages:
        return f"It needs: sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
    return ""


class Emulated(WholeSystem):
    """A computer that runs; see `emulated`, which makes it."""

    slowness = SLOWNESS

    def __init__(self, port: socket.socket, machine: subprocess.Popen[bytes]) -> None:
        self._machine = machine
        self._port = port
        self._asking = port.makefile("w", encoding="ascii")
        self._answers = port.makefile("r", encoding="ascii")

    def _run(self, words: Words, stdin: str, seconds: float) -> Done:
        command = [str(word) for word in words]
        asked = {"command": command, "stdin": stdin, "seconds": seconds * self.slowness}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(asked), file=self._asking, flush=True)
        answer = self._answers.readline()
        assert answer, f"qemu has ended: {self._machine.communicate()[1].decode(errors='replace')}"
        return subprocess.CompletedProcess(command, *json.loads(answer))

    def close(self) -> None:
        for each in (self._asking, self._answers, self._port):
            with contextlib.suppress(BrokenPipeError):
                each.close()

    def write(self, path: str, text: str) -> None:
        self.root("sh", "-c", 'cat > "$0"', path, stdin=text)


@contextlib.contextmanager
def emulated(package: Path) -> Iterator[Emulated]:
    """A computer that has booted, with this package installed; Unavailable if it cannot be had."""
    with tempfile.TemporaryDirectory(dir=_folder(), prefix="running-") as scratch:
        work = Path(scratch)
        _lay_disk(work, package)
        last = Unavailable("")
        for how in (["kvm", "host"], ["tcg,thread=multi", "max"]):
            if how[0] == "kvm" and not os.access("/dev/kvm", os.W_OK):
                continue
            with _started(work, *how) as machine:
                try:
                    running = _up(work, machine)
                except Unavailable as why:
                    last = why
                    continue
                with contextlib.closing(running):
                    yield running
                return
        raise last


def _folder() -> Path:
    folder = CACHE / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _with_kernel() -> Path:
    """The folder of a system that has a kernel, too; made once for each root."""
    root = roots.root(SUITE)
    place = _folder() / root.name
    with one_at_a_time(_folder() / "lock"):
        if not place.exists():
            say(f"Fetching {' and '.join(PACKAGES)} for {SUITE} (once a week)")
            with tempfile.TemporaryDirectory(dir=_folder(), prefix="making-") as scratch:
                made = Path(scratch) / "root"
                _quietly("cp", "--archive", root, made)
                _apt(made, "update")
                _apt(made, "install", *PACKAGES)
                _apt(made, "clean")
                for older in _folder().glob(f"{SUITE}-*"):
                    shutil.rmtree(older)
                made.rename(place)
    return place


def _lay_disk(work: Path, package: Path) -> None:
    tree = work / "tree"
    _quietly("cp", "--archive", _with_kernel(), tree)
    for file in (package, WHERE / "inside_emulated.py"):
        shutil.copy(file, tree / "opt")
    (tree / "etc/systemd/system/answering.service").write_text(ANSWERING)
    _quietly("chroot", tree, "systemctl", "--quiet", "enable", "answering.service")
    _apt(tree, "install", f"/opt/{package.name}")
    shutil.copy(next(tree.glob("boot/vmlinuz-*")), work / "kernel")
    _quietly("mke2fs", "-q", "-t", "ext4", "-d", tree, work / "disk", DISK)
    shutil.rmtree(tree)


def _apt(tree: Path, *words: str) -> None:
    silent = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y")
    _quietly("chroot", tree, *silent, "--no-install-recommends", *words)


def _quietly(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=FETCH_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Unavailable(f"{command[0]} could not make a disk for {SUITE}: {said[-1]}")


@contextlib.contextmanager
def _started(work: Path, accelerator: str, processor: str) -> Iterator[subprocess.Popen[bytes]]:
    for left in ("console", "port"):
        (work / left).unlink(missing_ok=True)
    machine = subprocess.Popen(
        [
            *("qemu-system-x86_64", "-accel", accelerator, "-cpu", processor, "-smp", "2"),
            *("-m", "1024", "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"),
            *("-kernel", work / "kernel", "-serial", f"file:{work / 'console'}"),
            *("-append", "root=/dev/vda rw console=ttyS0 panic=-1 systemd.getty_auto=no"),
            *("-drive", f"file={work / 'disk'},format=raw,if=virtio,cache=unsafe,snapshot=on"),
            *("-chardev", f"socket,id=port,path={work / 'port'},server=on,wait=off"),
            *("-device", "virtio-serial", "-device", "virtserialport,chardev=port"),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield machine
    finally:
        machine.kill()
        machine.communicate()


def _up(work: Path, machine: subprocess.Popen[bytes]) -> Emulated:
    """The computer once it answers. A KVM that cannot run this kernel leaves its console empty."""
    console, begun = work / "console", time.monotonic()
    while not (console.exists() and console.stat().st_size):
        waited = time.monotonic() - begun
        if machine.poll() is not None or waited > KERNEL_SECONDS_MAX:
            raise Unavailable(f"The kernel of {SUITE} does not start in qemu here.")
        time.sleep(LOOK_AGAIN_SECONDS)
    port = socket.socket(socket.AF_UNIX)
    port.settimeout(BOOT_SECONDS_MAX)
    port.connect(str(work / "port"))
    running = Emulated(port, machine)
    try:
        running.root("systemctl", "is-system-running", "--wait", check=False)
    except (OSError, AssertionError) as error:
        last = console.read_text(errors="replace")[-2000:]
        raise Unavailable(f"{SUITE} does not boot in qemu here:\n{last}") from error
    port.settimeout(None)
    for name in roots.PEOPLE:
        running.root("loginctl", "enable-linger", name)
    return running


def main() -> int:
    if why := lacking():
        say(f"Tests with Ubuntu's own kernel: not run: {why}")
        return 0
    try:
        package = deb.build(with_tray=False)
        told = systems.tried(systems.UBUNTU, package, shlex.split(os.environ.get("ARGS", "")))
    except Stopped as stopped:
        say(f"\n{stopped}")
        return 1
    except KeyboardInterrupt:
        return 130
    say(told.text.rstrip())
    return told.status


if __name__ == "__main__":
    sys.exit(main())
