#!/usr/bin/env python3
"""Tell what the package carries: a bill of materials (CycloneDX 1.6) out of the locked wheels.

Purpose: each library that lies in the package's folder, and each crate that is linked into one,
with version, hashes, licence and what it rests on. Licences of libraries are those that
debian/copyright names, for what wheels say of themselves is no single language; crates are those
of the bills that the wheels bring along.
Invariants: the same wheels give the same bytes; a wheel whose licence nobody wrote down is refused.
Standard library only: the build runs this.

    tools/carried.py [--tray] WHEELS COPYRIGHT PYPROJECT > FILE
"""

from __future__ import annotations

import argparse
import datetime
import email
import hashlib
import json
import os
import re
import sys
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lay_site
from lay_site import Refused

# The bill of cryptography names OpenSSL without its licence.
KNOWN = {"openssl": "Apache-2.0"}
# What is linked into a library that brings no bill along; nor does it say which version.
LINKED = {
    "cffi": {"libffi": "MIT"},
    "pyside6-essentials": {
        "qt": "LGPL-3.0-only",
        "icu": "Unicode-DFS-2016",
        "double-conversion": "BSD-3-Clause",
        "harfbuzz": "MIT",
        "libpng": "libpng-2.0",
        "md4c": "MIT",
        "pcre2": "BSD-3-Clause",
    },
}


@dataclass(slots=True)
class Part:
    """Something carried that has a name and a version of its own."""

    purl: str
    name: str
    version: str
    licence: str
    authors: str = ""
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """Of a library: its wheels, each with its SHA-256."""
    rests_on: set[str] = field(default_factory=set)
    """The purls of others."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """What debian/copyright says of some files."""

    files: tuple[str, ...]
    copyright: str
    licence: str

    @property
    def libraries(self) -> list[str]:
        """Those whose files they are, as locks write their names."""
        found = (re.fullmatch(r".*/site/([\w.]+)-\*\.dist-info/\*", each) for each in self.files)
        return [match[1].lower().replace("_", "-") for match in found if match]


def stanzas(text: str) -> list[Stanza]:
    """Of a machine-readable debian/copyright: what it says of files."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        of = dict(re.findall(r"^([A-Z][\w-]*):\s*(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        if "Files" in of:
            licence = of["License"].splitlines()[0].strip()
            found.append(Stanza(tuple(of["Files"].split()), of["Copyright"], licence))
    return found


def parts(wheels: Path, copyright_text: str) -> dict[str, Part]:
    """What these wheels carry, by purl; Refused where a licence is not written down."""
    licences = {name: one.licence for one in stanzas(copyright_text) for name in one.libraries}
    found: dict[str, Part] = {}
    needs: dict[str, list[str]] = {}
    for wheel in sorted(wheels.glob("*.whl")):
        name, _python = lay_site.package_of(wheel)
        if name in lay_site.LEFT_OUT:
            continue
        if name not in licences:
            raise Refused(f"{name}: debian/copyright names no licence of it.")
        with zipfile.ZipFile(wheel) as archive:
            inside = {entry.partition(".dist-info/")[2]: entry for entry in archive.namelist()}
            about = email.message_from_bytes(archive.read(inside["METADATA"]))
            bills = [
                json.loads(archive.read(entry))
                for path, entry in sorted(inside.items())
                if path.startswith("sboms/") and path.endswith(".json")
            ]
        version = str(about["Version"])
        library = found.setdefault(
            f"pkg:pypi/{name}@{version}",
            Part(f"pkg:pypi/{name}@{version}", name, version, _spdx(licences[name])),
        )
        library.files[wheel.name] = hashlib.sha256(wheel.read_bytes()).hexdigest()
        needs[library.purl] = about.get_all("Requires-Dist", [])
        for bill in bills:
            _add_linked(bill, library, found)
        for linked, licence in LINKED.get(name, {}).items():
            purl = f"pkg:generic/{linked}"
            found[purl] = Part(purl, linked, "", licence)
            library.rests_on.add(purl)
    by_name = {part.name: purl for purl, part in found.items() if purl.startswith("pkg:pypi/")}
    for purl, wanted in needs.items():
        named = {_name(one) for one in wanted if not re.search(r";.*\bextra\b", one)}
        found[purl].rests_on |= {by_name[name] for name in named if name in by_name}
    return found


def _add_linked(bill: dict[str, Any], library: Part, found: dict[str, Part]) -> None:
    """What is linked into a library, as its own bill tells it."""
    purls = {}
    for one in bill["components"]:
        purl = one["purl"].partition("?")[0]  # behind it are paths of the machine that built it
        purls[one.get("bom-ref", purl)] = purl
        expressions = [each.get("expression", "") for each in one.get("licenses", [])]
        licence = _spdx(" AND ".join(expressions)) or KNOWN.get(one["name"], "")
        if not licence:
            raise Refused(f"{one['name']}, in {library.name}, has no licence that we know of.")
        sums = [each["content"] for each in one.get("hashes", []) if each["alg"] == "SHA-256"]
        part = Part(purl, one["name"], one["version"], licence, one.get("author", ""), *sums)
        found.setdefault(purl, part)
    purls[bill["metadata"].get("component", {}).get("bom-ref", "")] = library.purl
    told = {one["ref"]: one.get("dependsOn", []) for one in bill.get("dependencies", [])}
    for ref, others in told.items():
        if ref in purls:
            found[purls[ref]].rests_on |= {purls[each] for each in others if each in purls}
    if not told:
        library.rests_on |= set(purls.values()) - {library.purl}


def bill_of(carried: dict[str, Part], project: dict[str, Any], made_at: int) -> dict[str, Any]:
    """CycloneDX 1.6; `made_at`: seconds of the epoch."""
    own = f"pkg:generic/{project['name']}@{project['version']}"
    direct = {_name(one) for one in project["dependencies"]}
    rests_on = {own: {part.purl for part in carried.values() if part.name in direct and part.files}}
    rests_on |= {purl: part.rests_on for purl, part in carried.items()}
    moment = datetime.datetime.fromtimestamp(made_at, datetime.UTC)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"expression": project["license"]}],
                "purl": own,
            },
        },
        "components": [_component(carried[purl]) for purl in sorted(carried)],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(others)} if others else {"ref": ref}
            for ref, others in sorted(rests_on.items())
        ],
    }


def _component(part: Part) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "library", "bom-ref": part.purl}
    if part.authors:
        told["authors"] = [{"name": part.authors}]
    told["name"] = part.name
    if part.version:
        told["version"] = part.version
    if part.sha256:
        told["hashes"] = _hashes(part.sha256)
    told |= {"licenses": [{"expression": part.licence}], "purl": part.purl}
    if part.files:
        told["externalReferences"] = [
            {"type": "distribution", "url": name, "hashes": _hashes(digest)}
            for name, digest in sorted(part.files.items())
        ]
    return told


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]


def _spdx(licence: str) -> str:
    """An expression as SPDX writes it; debian/copyright has small words between the names."""
    words = (word.upper() if word in ("or", "and", "with") else word for word in licence.split())
    return " ".join(words)


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def project_of_tray(project: dict[str, Any]) -> dict[str, Any]:
    """The tray as a thing of its own, which rests on what its optional part names."""
    needs = project["optional-dependencies"]["tray"]
    return {**project, "name": f"{project['name']}-tray", "dependencies": needs}


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what the package carries.")
    parser.add_argument("--tray", action="store_true", help="the package of the tray")
    for name in ("wheels", "copyright", "pyproject"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    made_at = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    try:
        carried = parts(asked.wheels, asked.copyright.read_text("utf-8"))
    except Refused as refused:
        print(f"carried: {refused}", file=sys.stderr)
        return 1
    project = tomllib.loads(asked.pyproject.read_text("utf-8"))["project"]
    if asked.tray:
        project = project_of_tray(project)
    print(json.dumps(bill_of(carried, project, made_at), indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
