#!/usr/bin/env python3
"""Boot a throw-away system with a real systemd, work in it as root and as ordinary users.

Purpose: what only a whole system can show: units, sessions, the bus, apt, a reboot. It has loopback
as its only network, unless it is given another one (tools/lab.py), and needs neither a systemd nor
a machined outside. Longer than others: what is begun here is ended here.
Invariants: nothing that a system does reaches this machine, and nothing of it stays: its processes
and mounts live in namespaces that the kernel ends with a pipe of ours, however we end, and a folder
that we could not remove is removed by whoever boots next. Every wait has an end. For root.
Standard library only.

    tools/booted.py SUITE [--deb FILE] [--user NAME] [-- COMMAND ...]    else a shell
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import roots
from environment import CACHE, one_at_a_time
from roots import Unavailable
from whole_system import COMMAND_SECONDS_MAX, Done, WholeSystem, Words, checked, login, run

BOOT_SECONDS_MAX = 90
STOP_SECONDS_MAX = 20
FETCH_SECONDS_MAX = 180
LOOK_AGAIN_SECONDS = 0.05
POWER_OFF = signal.SIGRTMIN + 4  # what systemd as the first process understands so
# systemd makes a cgroup for each service, and Debian 13's knows version 2 only.
CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
ENTER = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
NSPAWN = (
    *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"),
    *("--console=read-only", "--resolv-conf=off", "--timezone=off", "--link-journal=no"),
    f"--kill-signal={int(POWER_OFF)}",
)
IN_A_USER_NAMESPACE = "--private-users=identity"  # an option of nspawn: it maps each to itself
NOT_ALLOWED = (
    "Namespaces and mounts are not allowed here: take a machine where root may make them, or a"
    " container that is begun with --privileged."
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def lacking() -> str:
    """Why nothing can be booted here, with the line to type if there is one; empty: it can."""
    if os.geteuid() != 0:
        return "Booting systems is for root. Type: sudo make test-system"
    if packages := roots.lacking():
        return f"Booting systems needs: sudo apt-get install -y {' '.join(packages)}"
    if _cgroups() is None:
        return (
            "There are no cgroups of version 2 here, which a booted system needs. Type:"
            f" sudo mkdir -p {CGROUPS[-1]} && sudo mount -t cgroup2 none {CGROUPS[-1]}"
        )
    with tempfile.TemporaryDirectory(prefix="postroad-") as scratch:
        trial = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", scratch]
        if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
            return NOT_ALLOWED
    return ""


class Booted(WholeSystem):
    """A system that runs: a whole computer, as far as its programs can tell."""

    def __init__(
        self,
        suite: str,
        work: Path,
        holder: subprocess.Popen[bytes],
        cgroup: Path,
        network: Path | None,
    ):
        """See `booted`, which makes it."""
        self.suite, self._work, self._holder, self._cgroup = suite, work, holder, cgroup
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._options: Sequence[str] = ()
        self._network = network
        self.tree = work / "tree"  # seen by `outside` only

    # --- the machine ------------------------------------------------------------------------------

    def boot(self, *options: str) -> None:
        """Switch it on; `options` are systemd-nspawn's. Raises Unavailable when it does not come
        up."""
        self._options = options
        with contextlib.ExitStack() as until_it_has_them:
            console = until_it_has_them.enter_context((self._work / "console").open("ab"))
            network, passed = "--private-network", []
            if self._network is not None:
                # By its number: the path may mean nothing among the processes that it is begun in.
                opened = until_it_has_them.enter_context(self._network.open("rb"))
                passed = [opened.fileno()]
                network = f"--network-namespace-path=/proc/self/fd/{opened.fileno()}"
            self._nspawn = subprocess.Popen(
                [
                    *_in_cgroup(self._cgroup),
                    *self._nsenter(),
                    *(*NSPAWN, f"--machine={self._work.name}", f"--directory={self.tree}"),
                    network,
                    *options,
                ],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={
                    "PATH": PATH,
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    "SYSTEMD_LOG_LEVEL": "warning",
                },
            )
        ends = time.monotonic() + BOOT_SECONDS_MAX
        while not self._is_up():
            if self._nspawn.poll() is not None or time.monotonic() > ends:
                raise Unavailable(f"{self.suite} does not boot here:\n{self.console()}")
            time.sleep(LOOK_AGAIN_SECONDS)

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        inside = self._nspawn.pid
        for _ in range(2):  # nsenter's child is nspawn, and nspawn's child is the first process
            children = _children(inside)
            if not children:
                return False
            inside = children[-1]
        self._leader = inside
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if Path(f"/proc/{inside}/root/run/systemd/private").is_socket():
                waiting = self.root("systemctl", "is-system-running", "--wait", check=False)
                return waiting.stdout.strip() in ("running", "degraded")
        return False

    def power_off(self) -> None:
        """Switch it off in order, as a person would; its disk is still there."""
        if self._nspawn is not None:
            with contextlib.suppress(ProcessLookupError):
                if self._leader:
                    os.kill(self._leader, POWER_OFF)
            try:
                self._nspawn.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.cut_power()
        self._nspawn = None

    def cut_power(self) -> None:
        """Kill everything that runs in it, at once; its disk is still there."""
        if self._nspawn is not None:
            with contextlib.suppress(ProcessLookupError):
                if self._leader:  # 0, of a system that never came up, would be ourselves
                    os.kill(self._leader, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._nspawn.pid, signal.SIGKILL)
            self._nspawn.wait(STOP_SECONDS_MAX)
        self._nspawn = None

    def deny_user_namespaces(self) -> None:
        """Let the kernel refuse each new one; for a system that was booted in one of its own, which
        is the only one that is concerned."""
        assert IN_A_USER_NAMESPACE in self._options
        script = "echo 0 > /proc/sys/user/max_user_namespaces"
        checked(run(["nsenter", f"--target={self._leader}", "--user", "sh", "-c", script]))

    def console(self) -> str:
        return (self._work / "console").read_text(errors="replace")

    # --- working in it ----------------------------------------------------------------------------

    def _run(self, words: Words, stdin: str, seconds: float) -> Done:
        return run([*self._enter(), *words], stdin, seconds)

    def begin(self, name: str, *command: str | Path) -> subprocess.Popen[str]:
        """What `user` runs, of something that goes on; it is the caller's to end."""
        return subprocess.Popen(
            [str(word) for word in [*self._enter(), *login(name, 3600), *command]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def install(self, *packages: Path) -> float:
        """Have apt install packages of ours, with no network; how many seconds it took."""
        folder = self.tree / "packages"
        for package in packages:
            self.outside("install", "-D", "--mode=644", package.resolve(), "-t", folder)
        begun = time.monotonic()
        names = [f"/packages/{package.name}" for package in packages]
        self.apt("install", *names)
        return time.monotonic() - begun

    def apt(self, *words: str) -> Done:
        silent = ("env", "DEBIAN_FRONTEND=noninteractive")
        return self.root(*silent, "apt-get", "-q", "-y", "--allow-downgrades", *words, seconds=180)

    def write(self, path: str, octets: bytes, mode: int = 0o644) -> None:
        """Lay a file into the system, as root."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(octets)
            file.flush()
            place = f"{self.tree}{path}"
            self.outside("install", "-D", f"--mode={mode:o}", file.name, place)

    def outside(
        self, *command: str | Path, seconds: float = COMMAND_SECONDS_MAX, check: bool = True
    ) -> Done:
        """Run something of this machine's that sees the system's files below `tree`."""
        return checked(run([*self._nsenter(), *command], "", seconds), check)

    def at_a_terminal(self, name: str, line: str) -> list[str]:
        """The command by which somebody who lingers types a line, on the terminal of whoever runs
        it."""
        number = self.root("id", "--user", name).stdout.strip()
        runtime = f"/run/user/{number}"
        whose = [f"XDG_RUNTIME_DIR={runtime}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus"]
        as_them = ["runuser", "-u", name, "--", "env", f"HOME=/home/{name}", "COLUMNS=120", *whose]
        # Debian 13's ncurses wants a terminal with a size.
        script = f"stty rows 40 cols 120 && cd && {line}"
        return [*self._enter(), *as_them, "TERM=xterm", "sh", "-c", script]

    def on_its_network(self, *command: str | Path) -> Done:
        """Run something of this machine's, with the system's loopback as its network."""
        words = ["nsenter", f"--target={self._leader}", "--net", "--", *command]
        return checked(run(words))

    def add(self, *packages: str) -> None:
        """Have packages of its distribution, fetched over this machine's network once a week;
        Unavailable when they cannot be had."""
        place = roots.archives(self.suite, packages)
        with one_at_a_time(place.with_suffix(".lock")):
            if not place.exists():
                self._apt_by_our_network(packages, "update")
                self._apt_by_our_network(packages, "install", "--download-only", *packages)
                fetched = self.tree / "var/cache/apt/archives"
                making = place.with_suffix(".making")
                shutil.rmtree(making, ignore_errors=True)
                making.mkdir()
                # `fetched` is seen by who is where the system's files are, and only by them.
                self.outside("sh", "-c", 'cp "$0"/*.deb "$1"', fetched, making)
                making.rename(place)
        inside = self.tree / "archives"
        self.outside("mkdir", "-p", inside)  # it is there where something was added before
        self.outside("cp", "-r", f"{place}/.", inside)
        names = [f"/archives/{each.name}" for each in sorted(place.iterdir())]
        self._apt_by_our_network(packages, "install", *names)

    def _apt_by_our_network(self, packages: Sequence[str], *words: str) -> None:
        """Run apt-get with this machine's network."""
        inside = ("chroot", self.tree, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q")
        more = ("-y", "--no-install-recommends")
        done = self.outside(*inside, *more, *words, seconds=FETCH_SECONDS_MAX, check=False)
        if done.returncode != 0:
            why = (done.stderr.strip().splitlines() or ["apt said nothing"])[-1]
            raise Unavailable(f"{self.suite}: {' '.join(packages)} cannot be had: {why}")

    def _enter(self) -> list[str]:
        # logind 257 answers only whoever is in a cgroup of the system's.
        inside = self._cgroup / "payload" / "init.scope"
        whose = ["--user"] if IN_A_USER_NAMESPACE in self._options else []
        enter = ["nsenter", f"--target={self._leader}", *ENTER, *whose, "--root", "--wd", "--"]
        # Our own settings mean nothing in there.
        clean = ["env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", "TERM=dumb"]
        return [*_in_cgroup(inside), *enter, *clean]

    def _nsenter(self) -> list[str]:
        return ["nsenter", f"--target={_children(self._holder.pid)[0]}", "--mount", "--pid", "--"]


@contextlib.contextmanager
def booted(suite: str, *options: str, network: Path | None = None) -> Iterator[Booted]:
    """A system of this suite, fresh and running; gone without a trace afterwards.

    `network`: the namespace that it has for its network, through all its boots; else one of its own
    with loopback only.

    Raises Unavailable when it cannot be made here."""
    base = roots.root(suite)
    cgroups = _cgroups()
    if cgroups is None:
        raise Unavailable(lacking())
    with contextlib.ExitStack() as cleanup:
        with one_at_a_time(CACHE / "booted.lock"):
            folder = CACHE / "booted"
            folder.mkdir(exist_ok=True)
            _remove_what_was_left(folder)
            # Its name is the machine's, too, which may not end in what mkdtemp() puts there.
            work = folder / f"{suite}-{uuid.uuid4().hex[:12]}"
            work.mkdir(mode=0o700)
            cleanup.callback(_remove, work)
            lock = cleanup.enter_context((work / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)  # for as long as we live
        holder = _hold()
        cleanup.callback(_let_go, holder)
        (cgroup := cgroups / f"postroad-{work.name}").mkdir()
        system = Booted(suite, work, holder, cgroup, network)
        for name in ("upper", "scratch", "tree"):
            (work / name).mkdir()
        layers = f"lowerdir={base},upperdir={work}/upper,workdir={work}/scratch"
        mount = ("mount", "-t", "overlay", "overlay", "-o", layers, system.tree)
        laid = system.outside(*mount, check=False)
        if laid.returncode != 0:
            raise Unavailable(f"Files cannot be laid above others here: {laid.stderr.strip()}")
        cleanup.callback(system.cut_power)
        system.boot(*options)
        for name in roots.PEOPLE:  # their services run on when they are logged out
            system.root("loginctl", "enable-linger", name)
        yield system


def _hold() -> subprocess.Popen[bytes]:
    """Namespaces for mounts and processes, which end with our end of a pipe."""
    apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    holder = subprocess.Popen(
        [*apart, "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    ends = time.monotonic() + STOP_SECONDS_MAX
    while not any(_is_cat(child) for child in _children(holder.pid)):
        if holder.poll() is not None or time.monotonic() > ends:
            raise Unavailable(NOT_ALLOWED)
        time.sleep(LOOK_AGAIN_SECONDS)
    return holder


def _is_cat(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text().strip() == "cat"
    return False


def _let_go(holder: subprocess.Popen[bytes]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    try:
        holder.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        holder.kill()
        holder.wait(STOP_SECONDS_MAX)


def _remove_what_was_left(folder: Path) -> None:
    """By those who were killed: the kernel has ended all but their folder and their cgroup."""
    for work in folder.iterdir():
        with contextlib.suppress(OSError), (work / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(work)


def _remove(work: Path) -> None:
    cgroups = _cgroups()
    assert cgroups is not None
    mine = cgroups / f"postroad-{work.name}"
    for folder in sorted(mine.rglob("*"), reverse=True):  # the inner ones first
        if folder.is_dir():
            _remove_cgroup(folder)
    _remove_cgroup(mine)
    shutil.rmtree(work, ignore_errors=True)


def _remove_cgroup(folder: Path) -> None:
    """Its processes have been killed, and may take a moment to be gone."""
    ends = time.monotonic() + STOP_SECONDS_MAX
    while folder.exists() and time.monotonic() < ends:
        try:
            folder.rmdir()
        except OSError:
            time.sleep(LOOK_AGAIN_SECONDS)


def _cgroups() -> Path | None:
    return next((each for each in CGROUPS if (each / "cgroup.controllers").exists()), None)


def _in_cgroup(cgroup: Path) -> list[str]:
    return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(cgroup / "cgroup.procs")]


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
        return [int(each) for each in text.split()]
    return []


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Boot a system, and work in it.")
    parser.add_argument("suite", choices=roots.DISTRIBUTIONS)
    parser.add_argument("--deb", type=Path, action="append", default=[], help="install this")
    parser.add_argument("--user", choices=["root", *roots.PEOPLE], default="alice")
    mark = arguments.index("--") if "--" in arguments else len(arguments)
    asked, command = parser.parse_args(arguments[:mark]), arguments[mark + 1 :]
    if why := lacking():
        print(why, file=sys.stderr)
        return 2
    try:
        with booted(asked.suite) as system:
            system.install(*asked.deb)
            words = command or ["bash", "-i"]
            who = [] if asked.user == "root" else login(asked.user, 86400)
            return subprocess.run([*system._enter(), *who, *words], check=False).returncode
    except Unavailable as why:
        print(why, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
