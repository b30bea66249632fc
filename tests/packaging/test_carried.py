"""The bill of materials and debian/copyright name all that the package carries, and no more."""

from __future__ import annotations

import email
import json
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from cyclonedx.schema import _res
from license_expression import get_spdx_licensing  # type: ignore[import-untyped]

import carried
import lay_site

ROOT = Path(__file__).resolve().parents[2]
COPYRIGHT = (ROOT / "packaging" / "debian" / "copyright").read_text("utf-8")
SCHEMAS = Path(str(_res.__file__)).parent
# What wheels say of themselves where they know no expression.
OF_CLASSIFIERS = {
    "License :: OSI Approved :: MIT License": {"MIT"},
    "License :: OSI Approved :: Apache Software License": {"Apache-2.0"},
    "License :: OSI Approved :: BSD License": {"BSD-2-Clause", "BSD-3-Clause"},
}
# Of licences whose text stands in /usr/share/common-licenses: how it begins, less its numbers.
TITLES = {
    "Apache-2.0": "apache license",
    "CC0-1.0": "cc universal",
    "LGPL-2.1-or-later": "gnu lesser general public license",
    "LGPL-3.0-or-later": "gnu lesser general public license",
}
# What wheels say in words of their own; pystray's sources say more than its metadata.
OF_WORDS = {"LGPLv3": "LGPL-3.0-or-later"}
# Qt's authors bring no text along, and Debian has all three.
WITHOUT_TEXT = {"pyside6-essentials", "shiboken6"}


@pytest.fixture(scope="module")
def bill(wheels: Path) -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return carried.bill_of(carried.parts(wheels, COPYRIGHT), project, 1_800_000_000)


@pytest.fixture(scope="module")
def bill_of_tray(tray_wheels: Path) -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    parts = carried.parts(tray_wheels, COPYRIGHT)
    return carried.bill_of(parts, carried.project_of_tray(project), 1_800_000_000)


def laid(*folders: Path) -> dict[str, Path]:
    """Of each library that is carried, a wheel."""
    wheels = (wheel for folder in folders for wheel in folder.glob("*.whl"))
    named = {lay_site.package_of(wheel)[0]: wheel for wheel in wheels}
    return {name: wheel for name, wheel in named.items() if name not in lay_site.LEFT_OUT}


def texts() -> dict[str, str]:
    """The licences of debian/copyright, each with its text."""
    found = (re.match(r"License: (\S+)\n(.*)", one, re.DOTALL) for one in COPYRIGHT.split("\n\n"))
    return {match[1]: words(match[2]) for match in found if match}


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


# --- the bill of materials ------------------------------------------------------------------------


def test_the_bill_keeps_to_the_schema_of_cyclonedx(
    bill: dict[str, Any], bill_of_tray: dict[str, Any]
) -> None:
    valid = validator()
    for one in (bill, bill_of_tray):
        valid(json.loads(json.dumps(one)))
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        valid({**bill, "components": [{"name": "of no type"}]})


def validator() -> Any:
    schema = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text("utf-8"))

    def beside(address: str) -> Any:
        return json.loads((SCHEMAS / address.rpartition("/")[2]).read_text("utf-8"))

    return fastjsonschema.compile(schema, handlers={"http": beside, "https": beside})


def test_every_licence_of_it_is_an_expression_of_spdx(
    bill: dict[str, Any], bill_of_tray: dict[str, Any]
) -> None:
    spdx = get_spdx_licensing()
    for one in bill["components"] + bill_of_tray["components"]:
        (licence,) = one["licenses"]
        assert spdx.validate(licence["expression"]).errors == [], one["purl"]


def test_every_wheel_stands_in_it_with_its_hash(bill: dict[str, Any], wheels: Path) -> None:
    lock = (ROOT / "packaging" / "locks" / "service.lock").read_text()
    locked = lay_site.locked(lock)
    versions = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    told = {
        one["name"]: {each["hashes"][0]["content"] for each in one["externalReferences"]}
        for one in bill["components"]
        if one["purl"].startswith("pkg:pypi/")
    }
    assert set(told) == set(laid(wheels))
    assert all(hashes and hashes <= locked[name] for name, hashes in told.items())
    purls = {one["purl"] for one in bill["components"]}
    assert {f"pkg:pypi/{name}@{versions[name]}" for name in told} <= purls


def test_what_is_linked_into_a_wheel_stands_in_it(bill: dict[str, Any]) -> None:
    names = {one["name"]: one for one in bill["components"]}
    assert {"openssl", "pyo3", "rustls"} <= set(names)
    assert names["openssl"]["licenses"] == [{"expression": "Apache-2.0"}]
    assert len(names) > 400


def test_a_library_of_c_that_is_linked_into_a_module_stands_in_it(
    bill: dict[str, Any], wheels: Path
) -> None:
    """No bill comes with the wheel, but its modules bring the functions along."""
    holding = set()
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            modules = [archive.read(one) for one in archive.namelist() if one.endswith(".so")]
        if any(b"\0ffi_prep_cif\0" in one and b"libffi.so" not in one for one in modules):
            holding.add(lay_site.package_of(wheel)[0])
    assert holding == {"cffi"}
    (linked,) = [one for one in bill["components"] if one["name"] == "libffi"]
    assert linked["licenses"] == [{"expression": "MIT"}]
    told = {one["ref"].partition("@")[0]: one.get("dependsOn") for one in bill["dependencies"]}
    assert linked["purl"] in told["pkg:pypi/cffi"]


@pytest.mark.parametrize("which", ["bill", "bill_of_tray"])
def test_whatever_rests_on_something_names_something_that_is_there(
    which: str, request: pytest.FixtureRequest
) -> None:
    bill = request.getfixturevalue(which)
    refs = {one["bom-ref"] for one in bill["components"]}
    own = bill["metadata"]["component"]["bom-ref"]
    told = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    assert set(told) == refs | {own}
    assert {each for others in told.values() for each in others} <= refs
    reached, todo = set(), [own]
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            todo += told[here]
    assert refs - reached == set(), "nothing of ours leads there"


def test_no_path_of_a_machine_that_built_something_is_in_it(bill: dict[str, Any]) -> None:
    assert not re.search(r"file://|/home/|/tmp|/__w", json.dumps(bill))


def test_the_tray_rests_on_qt_whose_parts_have_their_own_terms(
    bill_of_tray: dict[str, Any],
) -> None:
    graph = bill_of_tray["dependencies"]
    told = {one["ref"].partition("@")[0]: one.get("dependsOn") for one in graph}
    assert {"pkg:generic/qt", "pkg:generic/icu"} <= set(told["pkg:pypi/pyside6-essentials"])
    of_qt = {path: one.licence for one in carried.stanzas(COPYRIGHT) for path in one.files}
    library = "usr/lib/postroad-tray/site/PySide6/Qt/lib/"
    terms = {
        word
        for path, licence in of_qt.items()
        if path.startswith(library)
        for word in licence.split(" and ")
    }
    for one in bill_of_tray["components"]:
        if one["purl"].startswith("pkg:generic/"):
            assert one["licenses"][0]["expression"] in terms, one["name"]


# --- debian/copyright -----------------------------------------------------------------------------


def test_every_library_has_one_stanza_and_no_stanza_is_of_another(
    wheels: Path, tray_wheels: Path
) -> None:
    named = [name for one in carried.stanzas(COPYRIGHT) for name in one.libraries]
    assert sorted(named) == sorted(laid(wheels, tray_wheels))


def test_each_stanza_says_what_the_wheel_itself_says(wheels: Path, tray_wheels: Path) -> None:
    stanzas = {name: one for one in carried.stanzas(COPYRIGHT) for name in one.libraries}
    for name, wheel in laid(wheels, tray_wheels).items():
        about = metadata(wheel)
        said = about["License-Expression"] or about["License"]
        said = OF_WORDS.get(said, said)
        ours = stanzas[name].licence.replace(" or ", " OR ")
        if said:
            assert ours == said, name
            continue
        classified = [OF_CLASSIFIERS[each] for each in classifiers(about)]
        assert classified or name == "iroh", name  # which has both licences, and no word of them
        assert all(ours in each for each in classified), name


def classifiers(about: Any) -> list[str]:
    return [one for one in about.get_all("Classifier", []) if one.startswith("License ::")]


def metadata(wheel: Path) -> Any:
    with zipfile.ZipFile(wheel) as archive:
        (found,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(found))


def test_the_texts_are_those_that_the_wheels_bring_along(wheels: Path, tray_wheels: Path) -> None:
    known = texts()
    stanzas = {name: one for one in carried.stanzas(COPYRIGHT) for name in one.libraries}
    for name, wheel in laid(wheels, tray_wheels).items():
        with zipfile.ZipFile(wheel) as archive:
            files = [one for one in archive.namelist() if ".dist-info/" in one]
            legal = [one for one in files if re.search(r"/(LICEN[CS]E|COPYING|NOTICE)[^/]*$", one)]
            brought = words(" ".join(archive.read(one).decode() for one in legal))
        assert (not brought) == (name in WITHOUT_TEXT), name
        if not brought:
            continue
        for licence in stanzas[name].licence.split(" or "):
            # Behind those are the names of people, or the text stands in a place of Debian's.
            text = TITLES.get(licence) or " ".join(known[licence].split()[:40])
            assert text in brought, (name, licence)


def test_every_licence_that_is_named_has_its_text() -> None:
    named = {
        word
        for one in carried.stanzas(COPYRIGHT)
        for word in one.licence.split()
        if word not in ("or", "and")
    }
    assert named == set(texts())
    assert all(len(text) > 80 for text in texts().values())


def test_the_licences_of_a_compiled_library_cover_every_crate_in_it(wheels: Path) -> None:
    compiled = {
        "cffi": "usr/lib/postroad/site/_cffi_backend.*",
        "blake3": "usr/lib/postroad/site/blake3/*.so",
        "cryptography": "usr/lib/postroad/site/cryptography/hazmat/bindings/_rust.abi3.so",
        "iroh": "usr/lib/postroad/site/iroh/libiroh_ffi.so",
    }
    of_files = {path: one for one in carried.stanzas(COPYRIGHT) for path in one.files}
    parts = carried.parts(wheels, COPYRIGHT)
    linked = {purl for purl in parts if not purl.startswith("pkg:pypi/")}
    covered = set()
    for name, path in compiled.items():
        terms = set(of_files[path].licence.split(" and "))
        (library,) = [one.purl for one in parts.values() if one.name == name and one.files]
        reached = below(parts, library)
        for purl in reached & linked:
            assert holds(parts[purl].licence, terms), (name, purl, parts[purl].licence)
        covered |= reached & linked
    assert covered == linked


def below(parts: dict[str, carried.Part], purl: str) -> set[str]:
    reached, todo = set(), [purl]
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            todo += parts[here].rests_on
    return reached


def holds(expression: str, terms: set[str]) -> bool:
    """Whether whoever keeps to all these terms keeps to the expression."""
    # An exception only adds to what is allowed.
    plain = re.sub(r" WITH [\w.-]+", "", expression)
    python = re.sub(r"[A-Za-z0-9.-]+", lambda word: told(word[0], terms), plain)
    return bool(eval(python))  # made of parentheses and four words


def told(word: str, terms: set[str]) -> str:
    return word.lower() if word in ("OR", "AND") else str(word in terms)


def test_terms_that_lack_a_licence_do_not_hold() -> None:
    assert holds("MIT OR Apache-2.0", {"Apache-2.0"})
    assert holds("(MIT OR Apache-2.0) AND Unicode-3.0", {"Apache-2.0", "Unicode-3.0"})
    assert not holds("(MIT OR Apache-2.0) AND Unicode-3.0", {"Apache-2.0"})
    assert not holds("GPL-3.0-only", {"Apache-2.0", "MIT"})


def test_a_wheel_of_which_no_licence_is_written_down_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "new-1-py3-none-any.whl", "w") as archive:
        archive.writestr("new-1.dist-info/METADATA", "Name: new\nVersion: 1\n")
    with pytest.raises(lay_site.Refused, match="new: debian/copyright names no licence"):
        carried.parts(tmp_path, COPYRIGHT)
