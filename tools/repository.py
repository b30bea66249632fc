#!/usr/bin/env python3
"""Lay out a signed apt repository for any host of plain files: `make repo KEY=... URL=...`.

Purpose: dists/ and pool/ as apt reads them, a package with the key and the deb822 source, and both
as files of their own. The key is the caller's, in their keyring; nothing else signs. Two of them,
OLD,NEW, sign both until everybody has NEW.
Invariants: nobody is told to trust a key that the caller has no secret part of; a package that was
given out never gets other bytes; what was there stays installable, so that an older version can be
pinned; the indices are exchanged as a whole, and those of the last time stay below by-hash/ for
whoever is in the midst of reading. Standard library, dpkg-deb and gpg.

    tools/repository.py --key FINGERPRINT --url URL [--into FOLDER] PACKAGE ...
"""

from __future__ import annotations

import argparse
import email.utils
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from environment import Stopped, readable_by_all, say

ROOT = Path(__file__).resolve().parent.parent
SUITE, COMPONENT = "stable", "main"
ARCHITECTURES = ("amd64", "arm64")
KEYRING = "postroad-archive-keyring"
KEYRING_PATH = f"/usr/share/keyrings/{KEYRING}.gpg"
SOURCE_PATH = "/etc/apt/sources.list.d/postroad.sources"
MAINTAINER = "The Postroad authors <authors@postroad.invalid>"
IDENTITY = ("Package", "Version", "Architecture")
_NUMBERED = re.compile(rf"{KEYRING}_([\d.]+)(?:\+(\d+))?_all\.deb")
PACKAGES = {"dpkg-deb": "dpkg", "gpg": "gnupg"}
OVERRIDES = f"""\
# To tell apt of its own repository, and of no other, is what this package is for.
{KEYRING}: package-installs-apt-sources *
"""
COPYRIGHT = f"""\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {KEYRING}

Files: *
Copyright: 2026 The Postroad authors
License: Apache-2.0
 Licensed under the Apache License, Version 2.0. On Debian systems the text is in
 /usr/share/common-licenses/Apache-2.0.
"""


def lay_out(packages: list[Path], key: str, url: str, into: Path) -> Path:
    """The folder that is served at `url`, with these packages and those that were there."""
    if lacking := [package for program, package in PACKAGES.items() if not shutil.which(program)]:
        raise Stopped(
            "Making a repository needs programs of the distribution.",
            f"sudo apt-get install -y {' '.join(lacking)}",
        )
    if not re.fullmatch(r"(https?|file)://\S+", url):
        raise Stopped(f"{url!r} is no address of a host: give URL=https://...")
    keys = [_key(one.strip()) for one in key.split(",")]
    with readable_by_all():
        into.mkdir(parents=True, exist_ok=True)
        for package in packages:
            _give_out(package, into)
        keyring = _keyring_package(keys, url, into)
        _exchange_indices(keys, into)
        shutil.copy(keyring, into / f"{KEYRING}.deb")
        (into / f"{KEYRING}.gpg").write_bytes(_public(keys))
        (into / Path(SOURCE_PATH).name).write_text(source(url))
    return into


def source(url: str) -> str:
    """What tells apt of the repository."""
    return (
        f"# Postroad's own repository; {KEYRING} brings its key.\n"
        f"Types: deb\nURIs: {url}\nSuites: {SUITE}\nComponents: {COMPONENT}\n"
        f"Signed-By: {KEYRING_PATH}\n"
    )


# --- the key --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """One that signs. `signer`: as gpg is told of it; `made_at`: of the newest part of it."""

    fingerprint: str
    signer: str
    made_at: int


def _key(named: str) -> Key:
    """The one that is meant; Stopped where it is none of the caller's, or not plain which."""
    told = _gpg("--with-colons", "--list-secret-keys", "--", named, check=False) if named else b""
    rows = [line.split(":") for line in told.decode().splitlines()]
    primary = [number for number, row in enumerate(rows) if row[0] == "sec"]
    if not primary:
        raise Stopped(
            f"Your keyring has no secret key {named!r} to sign with; name one, or make one.",
            "gpg --quick-generate-key 'NAME <ADDRESS>' ed25519 sign 3y",
        )
    behind = [[row[9] for row in rows[number:] if row[0] == "fpr"] for number in primary]
    if len(primary) > 1:
        which = ", ".join(fingerprints[0] for fingerprints in behind)
        raise Stopped(f"Several keys are called {named!r}: name one by its fingerprint: {which}")
    fingerprint = behind[0][0]
    if rows[primary[0]][1] in ("e", "r"):
        raise Stopped(
            f"The key {fingerprint} has expired or was revoked, and signs nothing more. If it has "
            "expired, and everybody is to go on with it:",
            f"gpg --quick-set-expire {fingerprint} 3y",
        )
    dates = [int(row[5]) for row in rows if row[0] in ("sec", "ssb", "uid") and row[5].isdigit()]
    one_part = named.endswith("!")  # gpg's way to name a part of a key, which then signs alone
    return Key(fingerprint, named if one_part else fingerprint, max(dates))


def _public(keys: list[Key]) -> bytes:
    """What verifies. By fingerprints: by a name gpg would export the keys of others, too."""
    fingerprints = sorted({one.fingerprint for one in keys})
    export = ("--export", "--export-options=export-minimal")
    return b"".join(_gpg(*export, one) for one in fingerprints)


def _gpg(*words: str, octets: bytes = b"", check: bool = True) -> bytes:
    done = subprocess.run(
        ["gpg", "--batch", "--yes", *words], input=octets, capture_output=True, check=False
    )
    if check and done.returncode != 0:
        raise Stopped(f"gpg could not sign: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _keyring_package(keys: list[Key], url: str, into: Path) -> Path:
    """The package with the keys and the source; with others of them it gets a higher number.

    A lower one that was given out before is of no use: apt has taken the higher one."""
    made_at = max(one.made_at for one in keys)
    date = time.strftime("%Y%m%d.%H%M%S", time.gmtime(made_at))
    folder = into / "pool" / COMPONENT / KEYRING[0] / KEYRING
    given = [_NUMBERED.fullmatch(path.name) for path in folder.glob("*.deb")]
    last = max(((one[1], int(one[2] or 0)) for one in given if one), default=("", 0))
    following = (date, 0) if date > last[0] else (last[0], last[1] + 1)
    with tempfile.TemporaryDirectory(prefix="postroad-") as scratch:
        for day, number in filter(itemgetter(0), (last, following)):
            version = f"{day}+{number}" if number else day
            made = Path(scratch) / f"{KEYRING}_{version}_all.deb"
            _pack(Path(scratch) / version, made, version, _public(keys), made_at, url)
            place = _place(made, into)
            if not place.exists() or place.read_bytes() == made.read_bytes():
                return _give_out(made, into)
    raise AssertionError


def _pack(tree: Path, made: Path, version: str, public: bytes, made_at: int, url: str) -> None:
    changes = (
        f"{KEYRING} ({version}) {SUITE}; urgency=medium\n\n  * The key, and where it is for.\n\n"
        f" -- {MAINTAINER}  {email.utils.formatdate(made_at)}\n"
    )
    of_doc = f"usr/share/doc/{KEYRING}"
    files = {
        KEYRING_PATH[1:]: public,
        SOURCE_PATH[1:]: source(url).encode(),
        f"usr/share/lintian/overrides/{KEYRING}": OVERRIDES.encode(),
        f"{of_doc}/copyright": COPYRIGHT.encode(),
        f"{of_doc}/changelog.gz": gzip.compress(changes.encode(), mtime=made_at),
    }
    control = (
        f"Package: {KEYRING}\nVersion: {version}\nArchitecture: all\nMulti-Arch: foreign\n"
        f"Maintainer: {MAINTAINER}\nInstalled-Size: {1 + sum(map(len, files.values())) // 1024}\n"
        "Section: misc\nPriority: optional\n"
        "Description: key and apt source of Postroad's own repository\n"
        " Tells apt where Postroad's packages come from, and by which key they are signed.\n"
        f" The key signs for {url} only.\n"
    )
    sums = "".join(f"{_md5(octets)}  {name}\n" for name, octets in files.items() if name[0] == "u")
    files["DEBIAN/control"] = control.encode()
    files["DEBIAN/conffiles"] = f"{SOURCE_PATH}\n".encode()
    files["DEBIAN/md5sums"] = sums.encode()
    for name, octets in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(octets)
    tree.chmod(0o755)
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (made_at, made_at))
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(made)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(made_at)},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _md5(octets: bytes) -> str:
    return hashlib.md5(octets, usedforsecurity=False).hexdigest()


# --- pool and indices -----------------------------------------------------------------------------


def _place(package: Path, into: Path) -> Path:
    """Where it lies: by what is in it, for its file may have any name."""
    fields = _control(package)
    found = [re.search(rf"^{name}: (\S+)$", fields, re.MULTILINE) for name in IDENTITY]
    named = [one[1] for one in found if one]
    if len(named) < len(IDENTITY) or "/" in "".join(named):
        raise Stopped(f"{package} does not say which package it is.")
    name, version, architecture = named
    version = version.partition(":")[2] or version  # as Debian's own pool has it
    folder = into / "pool" / COMPONENT / name[0] / name
    return folder / f"{name}_{version}_{architecture}.deb"


def _give_out(package: Path, into: Path) -> Path:
    """Put it into the pool; Stopped when others have got something else with this number."""
    place = _place(package, into)
    if place.exists() and place.read_bytes() != package.read_bytes():
        raise Stopped(
            f"{place.name} is in {into} already, with other contents, and somebody may have it: "
            "give what is new a number of its own in packaging/debian/changelog."
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        shutil.copyfile(package, place)
    return place


def _control(package: Path) -> str:
    done = subprocess.run(
        ["dpkg-deb", "--field", package], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Stopped(f"{package} is no Debian package: {done.stderr.strip()}")
    return done.stdout


def _exchange_indices(keys: list[Key], into: Path) -> None:
    dists = into / "dists"
    with tempfile.TemporaryDirectory(prefix="making-", dir=into) as scratch:
        draft = Path(scratch) / "dists"
        if dists.exists():
            shutil.copytree(dists, draft)
        _write_indices(keys, into, draft / SUITE)
        os.chmod(draft, 0o755)
        if dists.exists():
            dists.rename(Path(scratch) / "last")
        draft.rename(dists)


def _write_indices(keys: list[Key], into: Path, suite: Path) -> None:
    stanzas: dict[str, list[str]] = {one: [] for one in ARCHITECTURES}
    for package in sorted((into / "pool").rglob("*.deb")):
        fields = _control(package)
        octets = package.read_bytes()
        fields += f"Filename: {package.relative_to(into)}\nSize: {len(octets)}\n"
        fields += f"SHA256: {hashlib.sha256(octets).hexdigest()}\n"
        architecture = re.search(r"^Architecture: (\S+)$", fields, re.MULTILINE)
        assert architecture is not None
        for one in ARCHITECTURES:
            if architecture[1] in (one, "all"):
                stanzas[one].append(fields)
    listed: dict[str, bytes] = {}
    for one, fields_of in stanzas.items():
        folder = f"{COMPONENT}/binary-{one}"
        text = "\n".join(fields_of).encode()
        listed[f"{folder}/Packages"] = text
        listed[f"{folder}/Packages.gz"] = gzip.compress(text, mtime=0)
        listed[f"{folder}/Packages.xz"] = lzma.compress(text)
    for name, octets in listed.items():
        digest = hashlib.sha256(octets).hexdigest()
        for path in (suite / name, (suite / name).parent / "by-hash" / "SHA256" / digest):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)
    release = _release(listed).encode()
    (suite / "Release").write_bytes(release)
    signers = [word for one in keys for word in ("--local-user", one.signer)]
    sign = (*signers, "--digest-algo", "SHA512")
    clear = _gpg(*sign, "--clear-sign", octets=release)
    beside = _gpg(*sign, "--armor", "--detach-sign", octets=release)
    (suite / "InRelease").write_bytes(clear)
    (suite / "Release.gpg").write_bytes(beside)


def _release(listed: dict[str, bytes]) -> str:
    """No Valid-Until: a host of plain files has nobody who signs again each week."""
    lines = ["Origin: Postroad", "Label: Postroad", f"Suite: {SUITE}", f"Codename: {SUITE}"]
    lines += [f"Date: {email.utils.formatdate(usegmt=True)}", "Acquire-By-Hash: yes"]
    lines += [f"Architectures: {' '.join(ARCHITECTURES)}", f"Components: {COMPONENT}"]
    lines += ["Description: Postroad, email with no mail server", "SHA256:"]
    for name, octets in sorted(listed.items()):
        lines.append(f" {hashlib.sha256(octets).hexdigest()} {len(octets)} {name}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Lay out a signed apt repository.")
    parser.add_argument("packages", nargs="*", type=Path, metavar="PACKAGE")
    parser.add_argument("--key", required=True, help="of yours, to sign with; or two: OLD,NEW")
    parser.add_argument("--url", required=True, help="where the folder will be served")
    parser.add_argument("--into", type=Path, default=ROOT / "dist" / "repo")
    asked = parser.parse_args()
    try:
        folder = lay_out(asked.packages, asked.key, asked.url.rstrip("/"), asked.into)
    except Stopped as stopped:
        say(f"\n{stopped}")
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"To be served as it is at {asked.url}:")
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
