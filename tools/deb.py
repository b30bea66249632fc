#!/usr/bin/env python3
"""Build the Debian package from the committed tree: `make deb` puts it into dist/.

Purpose: fetch the locked wheels into the cache, then build with no network in an exported copy.
Invariants: what is not committed is not in the package, and the tree stays as it is; nothing gets
into the cache without a locked hash; the same commit and the same tools of the distribution give
the same bytes, whoever builds where and when. Standard library only.

    tools/deb.py [--wheels FOLDER] [--tray-wheels FOLDER] [--into FOLDER]

The path of the package is the last line; that of the tray lies beside it (`tray_beside`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lay_site
from environment import (
    CACHE,
    LOCKS,
    Stopped,
    environment,
    one_at_a_time,
    pip,
    quietly,
    readable_by_all,
    say,
)

ROOT = Path(__file__).resolve().parent.parent
LOCK = LOCKS / "service.lock"
TRAY_LOCK = LOCKS / "tray.lock"
WITHOUT_TRAY = "pkg.postroad.notray"  # a build profile; see debian/control
DIST = ROOT / "dist"
PACKAGES = {  # what the build runs, and the package it comes in
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "git": "git",
}
GLIBC_MINOR = 34  # the newest that bookworm, trixie and noble all have
# Nothing of the builder's surroundings gets in: their Python, tongue, time zone or options.
SURROUNDINGS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# What a person may have told their git to do to files that it hands out.
AS_COMMITTED = (
    *("-c", "core.autocrlf=false", "-c", "core.eol=lf"),
    *("-c", "core.attributesFile=", "-c", "tar.umask=0022"),
)


def lacking() -> list[str]:
    """The packages of the distribution that a build here needs and that are not there."""
    return [package for program, package in PACKAGES.items() if shutil.which(program) is None]


def build(
    wheels: Path | None = None,
    into: Path = DIST,
    change: Callable[[Path], None] = lambda _: None,
    *,
    tray_wheels: Path | None = None,
    with_tray: bool = True,
) -> Path:
    """The package, built from the last commit; `wheels`: where the locked ones lie already;
    `change`: makes another version of the exported tree."""
    if packages := lacking():
        raise Stopped(
            "Building the package needs programs of the distribution.",
            f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}",
        )
    if _git("status", "--porcelain", "--untracked-files=no"):
        say("There are changes that are not committed: the package is built without them.")
    folders = {"POSTROAD_WHEELS": wheels or fetched()}
    if with_tray and has_tray():
        folders["POSTROAD_TRAY_WHEELS"] = tray_wheels or fetched(tray_lock())
    with tempfile.TemporaryDirectory(prefix="postroad-deb-") as scratch, readable_by_all():
        tree = Path(scratch) / "postroad"
        _export(tree)
        change(tree)
        _build(tree, folders)
        into.mkdir(exist_ok=True)
        for made in Path(scratch).glob("*.deb"):
            shutil.copy(made, into / made.name)
        (service,) = Path(scratch).glob("postroad_*.deb")
    return into / service.name


def has_tray() -> bool:
    """Whether Qt's binding is published for the oldest system that we serve, on this processor."""
    return platform.machine() == "x86_64"


def tray_beside(package: Path) -> Path:
    """The tray's, of the same build."""
    return package.with_name(package.name.replace("postroad_", "postroad-tray_", 1))


def tray_lock() -> str:
    """Of what the tray's package carries, and the service's does not."""
    return lay_site.rest(TRAY_LOCK.read_text(), LOCK.read_text())


def fetched(text: str = "", *, for_pip: bool = False) -> Path:
    """A folder in the cache with the wheels of a lock, the service's where none is given, for each
    Python that is served; `for_pip`: also those that the package does without."""
    text = text or LOCK.read_text()
    place, stamp = _place(text, for_pip)
    with one_at_a_time(CACHE / f"{place.name}.lock"):
        if not stamp.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            say(f"Fetching the locked wheels into {place} (once)")
            _fetch(place, text, for_pip)
            stamp.touch()
    return place


def at_hand(text: str = "") -> Path | None:
    """The folder of `fetched`, if it is there; nothing is fetched."""
    place, stamp = _place(text or LOCK.read_text(), False)
    return place if stamp.exists() else None


def _place(lock: str, for_pip: bool) -> tuple[Path, Path]:
    """Where the wheels of this lock are kept, and what is there once they are complete."""
    named = "\n".join(line for line in lock.splitlines() if not line.startswith("#"))
    key = hashlib.sha256(f"{platform.machine()} {lay_site.PYTHONS} {named}".encode()).hexdigest()
    place = CACHE / f"wheels-{key[:12]}{'-for-pip' if for_pip else ''}"
    return place, place / "complete"


def _fetch(place: Path, lock: str, for_pip: bool) -> None:
    """pip looks at the markers of a lock for its own Python, and we want other Pythons' wheels,
    too: it gets the lock without them."""
    python = environment("dev")
    entries = lay_site.entries(lock)
    first = lay_site.PYTHONS[0]
    for version in lay_site.PYTHONS:
        with tempfile.TemporaryDirectory(prefix="postroad-") as scratch:
            asked = Path(scratch) / "asked"
            asked.write_text("\n".join(re.sub(r" ;.*\\", r" \\", entry) for entry in entries))
            download = ["download", "--require-hashes", "-r", str(asked), "-d", str(place)]
            download += ["--no-deps", "--implementation=cp", f"--python-version={version}"]
            for minor in range(GLIBC_MINOR, 16, -1):
                download.append(f"--platform=manylinux_2_{minor}_{platform.machine()}")
            download.append(f"--platform=manylinux2014_{platform.machine()}")
            pip(python, download, Path(scratch))
        if version == first and not for_pip:  # others differ in what is compiled for one Python
            laid = map(lay_site.package_of, place.glob("*.whl"))
            compiled = {name for name, served in laid if served == first}
            entries = [entry for entry in entries if entry.partition("==")[0] in compiled]


def _export(tree: Path) -> None:
    """The committed tree, with packaging/debian where dpkg wants it."""
    tree.mkdir()
    packed = _git(*AS_COMMITTED, "archive", "--format=tar", "HEAD")
    unpack = ["tar", "-x", "--warning=no-timestamp", "-C", str(tree)]
    subprocess.run(unpack, input=packed, env=SURROUNDINGS, check=True)
    (tree / "packaging" / "debian").rename(tree / "debian")


def _build(tree: Path, wheels: dict[str, Path]) -> None:
    """`wheels`: the folders, under the names by which debian/rules knows them."""
    ours = {**SURROUNDINGS, "HOME": str(tree.parent)}
    ours |= {name: str(folder.resolve()) for name, folder in wheels.items()}
    if "POSTROAD_TRAY_WHEELS" not in ours:
        ours["DEB_BUILD_PROFILES"] = WITHOUT_TRAY
    command = ["dpkg-buildpackage", "--build=binary", "--unsigned-changes", "--unsigned-buildinfo"]
    command.append("--ignore-builtin-builddeps")  # a compiler: nothing is compiled
    quietly(command, "The package could not be built.", variables=ours, where=tree)


def _git(*words: str) -> bytes:
    """A hook's GIT_DIR would be another repository; whom git trusts is told in its owner's home."""
    ours = {**SURROUNDINGS, "HOME": os.environ.get("HOME", "/"), "GIT_ATTR_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=ROOT, env=ours, capture_output=True, check=False)
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip()
        raise Stopped(f"The package is built from what is committed, and git says: {why}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Debian package from the last commit.")
    parser.add_argument("--wheels", type=Path, help="the locked wheels, in a folder of yours")
    parser.add_argument("--tray-wheels", type=Path, help="those of the tray, likewise")
    parser.add_argument("--into", type=Path, default=DIST, help="where the package is put")
    asked = parser.parse_args()
    try:
        made = build(asked.wheels, asked.into, tray_wheels=asked.tray_wheels)
    except Stopped as stopped:
        say(f"\n{stopped}")
        return 1
    except KeyboardInterrupt:
        return 130
    for each in filter(Path.exists, (made, tray_beside(made))):
        say(f"{each.name}: {each.stat().st_size / 1e6:.1f} MB")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
