#!/usr/bin/env python3
"""Make the systems that tests boot: Debian 12 and 13 and Ubuntu 24.04, freshly installed, and the
next Debian where it is asked for.

Purpose: a folder for each with a whole system in it, kept in the cache and only ever read, since
booted.py lays what is written above it. Invariants: a folder is whole once it has its name; it is
made anew in another week, or when what belongs in it is another list. Trust starts at the keys of
this machine's own distribution. For root. Standard library only.

    tools/roots.py SUITE            the path of a minimal one, not to be booted, is the last line
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from environment import CACHE, Stopped, one_at_a_time, say

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
}
SUITES = {"bookworm": "debian", "trixie": "debian", "noble": "ubuntu"}
# Not released: it changes from day to day by no doing of ours, so it is made only where it is
# named. It has the newest Python that the package is for.
COMING = {"forky": "debian"}
DISTRIBUTIONS = SUITES | COMING
COMPONENTS = {"debian": "main", "ubuntu": "main,universe"}
# Where this machine's own sources name no mirror of that distribution.
MIRRORS = {"debian": "http://deb.debian.org/debian", "ubuntu": "http://archive.ubuntu.com/ubuntu"}
# What a system with a desktop has anyway and the package leans on, and what the tests look with.
PACKAGES = (
    "apt,systemd,systemd-sysv,libpam-systemd,dbus,dbus-user-session,python3,procps,iproute2,"
    "ca-certificates,curl,libglib2.0-bin"
)
MINIMAL = "apt,python3,git,make"  # what the README asks for, and nothing else: see tools/fresh
LISTS = (PACKAGES, MINIMAL)
NOT_NEEDED = "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"
PEOPLE = {"alice": 1000, "bora": 1001}
NOT_TOLD = "PYTHON"  # variables of ours, with which the system's own Python would write elsewhere
MAKE_SECONDS_MAX = 600
# They want a network, or only take time.
MASKED = (
    "systemd-resolved.service systemd-networkd.service systemd-networkd-wait-online.service"
    " systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer"
    " dpkg-db-backup.timer motd-news.timer console-getty.service"
)


class Unavailable(Exception):
    """A system cannot be made or booted here, by no fault of ours; a sentence that says why."""


def lacking() -> list[str]:
    """The packages of the distribution without which nothing can be booted here."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


def root(suite: str, packages: str = PACKAGES) -> Path:
    """The folder of this suite's system, made now if this week's is not there, or Unavailable."""
    folder = CACHE / "roots"
    place = folder / f"{suite}-{_week()}-{_contents(suite, packages)}"
    with one_at_a_time(folder / f"{suite}.lock"):
        if not place.exists():
            older = sorted(folder.glob(f"{suite}-*-{_contents(suite, packages)}"))
            try:
                _make(suite, place, packages)
            except Unavailable as why:
                if not older:
                    raise
                say(f"{suite}: the system of an earlier week is used. {why}")
                return older[-1]
            this_weeks = {f"{suite}-{_week()}-{_contents(suite, each)}" for each in LISTS}
            for each in folder.glob(f"{suite}-*"):
                if each.name not in this_weeks and not _is_used(each):
                    shutil.rmtree(each, ignore_errors=True)
    return place


def archives(suite: str, packages: Sequence[str]) -> Path:
    """Where the files of these packages of its distribution lie this week, and of all that they
    lean on; whoever finds no folder there makes it, whole."""
    asked = hashlib.sha256(repr(sorted(packages)).encode()).hexdigest()[:8]
    folder = CACHE / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    for each in folder.glob("*"):
        if f"-{_week()}-" not in each.name:
            shutil.rmtree(each, ignore_errors=True)
    return folder / f"{suite}-{_week()}-{_contents(suite)}-{asked}"


def _week() -> str:
    return time.strftime("%Gw%V", time.gmtime())


def _contents(suite: str, packages: str = PACKAGES) -> str:
    asked = (suite, packages, NOT_NEEDED, PEOPLE, MASKED, COMPONENTS, NOT_TOLD)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:8]


def _is_used(place: Path) -> bool:
    """Whether a system is booted upon it just now."""
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):  # a process that ended meanwhile
            if f"lowerdir={place}," in mounts.read_text():
                return True
    return False


def _make(suite: str, place: Path, packages: str) -> None:
    distribution = DISTRIBUTIONS[suite]
    say(f"Making a {suite} in {place} (once a week)")
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"making-{suite}-") as scratch:
        made = Path(scratch) / "root"
        options = [f"--components={COMPONENTS[distribution]}", f"--include={packages}"]
        if distribution == "ubuntu":
            options.append(f"--keyring={_keys_of_ubuntu(Path(scratch))}")
        if suite in COMING:
            # Its lists say that they are valid for a week only; a mirror may be older. Signed they
            # are all the same, and a system of last month serves as well.
            options.append('--aptopt=Acquire::Check-Valid-Until "false"')
        options += [f"--dpkgopt=path-exclude={each}" for each in NOT_NEEDED]
        options += ["--dpkgopt=path-include=/usr/share/doc/postroad*", "--dpkgopt=force-unsafe-io"]
        for name, number in PEOPLE.items():
            options.append(
                f'--customize-hook=chroot "$1" useradd -m -s /bin/bash -u {number} {name}'
            )
        if packages == PACKAGES:
            options.append(f'--customize-hook=chroot "$1" systemctl --quiet mask {MASKED}')
        options.append('--customize-hook=echo booted > "$1/etc/hostname"; : > "$1/etc/machine-id"')
        _mmdebstrap(*options, suite, str(made), _mirror(distribution))
        made.rename(place)


def _keys_of_ubuntu(scratch: Path) -> Path:
    """Debian 13 has them in a package of its own, signed by keys that a Debian machine trusts."""
    keys = "usr/share/keyrings/ubuntu-archive-keyring.gpg"
    if (own := Path("/") / keys).exists():
        return own
    target = scratch / "keys"
    mirror = _mirror("debian")
    _mmdebstrap("--variant=extract", "--include=ubuntu-keyring", "trixie", str(target), mirror)
    return target / keys


def _mmdebstrap(*words: str) -> None:
    variant = () if any(word.startswith("--variant=") for word in words) else ("--variant=minbase",)
    command = ["mmdebstrap", "--quiet", "--mode=root", "--format=directory", *variant, *words]
    told = {name: value for name, value in os.environ.items() if not name.startswith(NOT_TOLD)}
    try:
        done = subprocess.run(
            command,
            env=told,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=MAKE_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"mmdebstrap was not done in {MAKE_SECONDS_MAX} s.") from error
    if done.returncode != 0:
        last = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise Unavailable(f"mmdebstrap could not make it: {last}")


def _mirror(distribution: str) -> str:
    """The one that this machine uses itself, or its neighbour on the same host."""
    if named := os.environ.get(f"{distribution.upper()}_MIRROR"):
        return named
    apt = Path("/etc/apt")
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    files += sorted((apt / "sources.list.d").glob("*.sources"))
    text = "\n".join(path.read_text(errors="replace") for path in files if path.exists())
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = re.findall(r"(https?://[^\s\]]+/)(debian|ubuntu)/?(?=\s|$)", "\n".join(lines))
    for base, name in found:
        if name == distribution or _answers(f"{base}{distribution}"):
            return f"{base}{distribution}"
    return MIRRORS[distribution]


def _answers(mirror: str) -> bool:
    """Whether apt could fetch from there, by the machine's own settings for proxies."""
    suite = next(suite for suite, name in SUITES.items() if mirror.endswith(name))
    helper = ["/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=0"]
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [f"{mirror}/dists/{suite}/InRelease", f"{scratch}/InRelease"]
        done = subprocess.run(
            [*helper, "download-file", *wanted], capture_output=True, timeout=60, check=False
        )
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in DISTRIBUTIONS:
        print(f"usage: tools/roots.py {'|'.join(DISTRIBUTIONS)}", file=sys.stderr)
        return 2
    try:
        print(root(arguments[0], MINIMAL))
    except (Unavailable, Stopped) as why:
        print(why, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
