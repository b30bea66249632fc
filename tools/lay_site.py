#!/usr/bin/env python3
"""Lay wheels into one folder of modules that serves several versions of Python.

Purpose: the private site folder of the package. Pure and abi3 wheels are laid once; modules that
are compiled for one Python each lie side by side, since their names say for which.
Invariants: nothing is laid that the lock has no hash of, everything that it names is laid but what
LEFT_OUT names, and no two wheels give different contents to one file. With --only, the file names
all that is kept of the wheels, line by line, and each of its lines is good for something. With
--beside, what that lock names lies in another package. Standard library only: the build runs this.

    tools/lay_site.py [--beside LOCK] [--only FILE] WHEELS LOCK SITE
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# zeroconf compiles what is there as Python, too: 3 MB for each Python, which nobody would notice.
WITHOUT_COMPILED = {"zeroconf"}
# rich would colour code and Markdown with them, which we never ask of it; 5 MB.
LEFT_OUT = {"markdown-it-py", "mdurl", "pygments"}
# pystray would draw with them, or ask X11; ours tells its icon by a name, and talks to a bus.
NOT_WANTED = {"pillow", "python-xlib"}
# What says how a wheel was made and installed; wheels of one version differ in it.
OF_INSTALLERS = {"RECORD", "WHEEL", "INSTALLER", "REQUESTED"}
NOT_RUN = {".pyi", ".c", ".h", ".pxd"}


class Refused(Exception):
    """The folder cannot be laid; a sentence that says why."""


class Kept:
    """What is laid of wheels that bring more than is run here: globs, of which each is for
    something. What a wheel tells about itself is always laid."""

    def __init__(self, text: str) -> None:
        lines = (line.strip() for line in text.splitlines())
        self._used = {line: False for line in lines if line and not line.startswith("#")}

    def has(self, path: PurePosixPath) -> bool:
        if path.parts[0].endswith(".dist-info"):
            return True
        fitting = [glob for glob in self._used if fnmatch.fnmatchcase(str(path), glob)]
        self._used.update(dict.fromkeys(fitting, True))
        return bool(fitting)

    def must_have_been_used(self) -> None:
        if unused := [glob for glob, used in self._used.items() if not used]:
            raise Refused(f"no wheel has {', '.join(unused)}.")


def entries(lock: str) -> list[str]:
    """Of a lock, the lines of each package."""
    return re.findall(r"^[a-z0-9-]+==.*(?:\n +--hash=.*)+", lock, re.MULTILINE)


def rest(lock: str, beside: str) -> str:
    """What a lock names for Linux, and the one beside it does not, less what is not wanted."""
    others = set(locked(beside)) | NOT_WANTED
    left = (
        entry
        for entry in entries(lock)
        if entry.partition("==")[0] not in others and "'darwin'" not in entry.partition("\n")[0]
    )
    return "".join(f"{entry}\n" for entry in left)


def locked(lock: str) -> dict[str, set[str]]:
    """Of each package in a lock: the hashes of its files."""
    return {
        entry.partition("==")[0]: set(re.findall(r"sha256:([0-9a-f]{64})", entry))
        for entry in entries(lock)
    }


def lay(wheels: Path, lock: str, site: Path, kept: Kept | None = None) -> None:
    """Raises Refused when a wheel is missing, unknown, or contradicts another."""
    left = locked(lock)
    laid: dict[str, set[str]] = {name: set() for name in left}
    for wheel in sorted(wheels.glob("*.whl")):
        name, python = package_of(wheel)
        if name not in left:
            raise Refused(f"{wheel.name}: the lock does not name it.")
        octets = wheel.read_bytes()
        if hashlib.sha256(octets).hexdigest() not in left[name]:
            raise Refused(f"{wheel.name}: the lock has another hash.")
        laid[name].add(python)
        if name not in LEFT_OUT:
            _unpack(wheel, name, site, kept)
    if kept is not None:
        kept.must_have_been_used()
    for name, pythons in laid.items():
        missing = [each for each in PYTHONS if not pythons & {each, "any"}]
        if missing:
            raise Refused(f"{name}: there is no wheel for {', '.join(missing)}.")


def package_of(wheel: Path) -> tuple[str, str]:
    """Its name as locks write it, and the one Python that it is for, or `any`."""
    name, _version, *_, python, abi, _platform = wheel.stem.split("-")
    one = re.fullmatch(r"cp(3)(\d+)", python)
    named = name.lower().replace("_", "-")
    if one is None or abi == "abi3" or named in WITHOUT_COMPILED:
        return named, "any"
    return named, f"{one[1]}.{one[2]}"


def _unpack(wheel: Path, name: str, site: Path, kept: Kept | None) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = PurePosixPath(entry.filename)
            if entry.is_dir() or not _is_wanted(path, name):
                continue
            if path.is_absolute() or ".." in path.parts:
                raise Refused(f"{wheel.name}: {path} points out of the folder.")
            if kept is not None and not kept.has(path):
                continue
            place, octets = site / path, archive.read(entry)
            if place.exists() and place.read_bytes() != octets:
                raise Refused(f"{wheel.name}: {path} is there already, with other contents.")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(octets)
            place.chmod(0o644)


def _is_wanted(path: PurePosixPath, name: str) -> bool:
    if path.parts[0].endswith(".data"):  # commands and manual pages of their own
        return False
    if path.parts[0].endswith(".dist-info"):  # carried.py makes one bill of all bills
        return path.name not in OF_INSTALLERS and "sboms" not in path.parts
    if path.suffix in NOT_RUN or "tests" in path.parts or "docs" in path.parts:
        return False
    return not (path.suffix == ".so" and name in WITHOUT_COMPILED)


def main() -> int:
    parser = argparse.ArgumentParser(description="Lay locked wheels into one folder of modules.")
    parser.add_argument("--beside", type=Path, help="a lock of what another package carries")
    parser.add_argument("--only", type=Path, help="a list of what is kept of the wheels")
    for name in ("wheels", "lock", "site"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    lock = asked.lock.read_text()
    try:
        lay(
            asked.wheels,
            rest(lock, asked.beside.read_text()) if asked.beside else lock,
            asked.site,
            Kept(asked.only.read_text("utf-8")) if asked.only else None,
        )
    except Refused as refused:
        print(f"lay_site: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
