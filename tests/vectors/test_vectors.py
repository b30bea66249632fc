"""Service and second reader agree on every vector, and on what becomes of it when it is changed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import second_reader
from second_reader import page
from second_reader.tlv import Refused
from second_reader.vectors import GIVEN, NO, READERS, check, kind_of, read_file
from vectors import files, making, service

Given = dict[str, bytes]
TESTS = Path(second_reader.__file__).parents[1]


@cache
def there(name: str) -> dict[str, bytes]:
    return files.load(name)


def given_in(name: str) -> Given:
    return {
        one.removeprefix(GIVEN): octets
        for one, octets in there(name).items()
        if one.startswith(GIVEN)
    }


ALL = [
    (name, vector)
    for name in making.MAKERS
    for vector in files.load(name)
    if not vector.startswith(GIVEN)
]


@pytest.mark.parametrize("name", list(making.MAKERS))
def test_the_files_are_what_the_service_makes_today(name: str) -> None:
    made = making.MAKERS[name]()
    assert making.kept(name, made, there(name)) == there(name)
    assert files.write(name, there(name)) == files.path_of(name).read_text()


@pytest.mark.parametrize("name", list(making.MAKERS))
def test_the_second_reader_reads_what_must_be_read_and_refuses_what_must_be(name: str) -> None:
    results = list(check(there(name)))
    assert [one.name for one in results if not one.is_as_it_should_be] == []
    assert len(results) == sum(not vector.startswith(GIVEN) for vector in there(name))


@pytest.mark.parametrize(("name", "vector"), ALL)
def test_the_service_does_so_too(name: str, vector: str) -> None:
    octets = there(name)[vector]
    if vector.startswith(NO):
        with pytest.raises(service.Refused):
            service.read(kind_of(vector), octets, given_in(name))
    else:
        assert service.read(kind_of(vector), octets, given_in(name)) == octets


def test_every_page_tells_what_must_be_refused_and_has_a_vector_of_it() -> None:
    pages = {table.page for table in page.tables() if table.head == ("vector", "why")}
    assert pages == {name for name, vector in ALL if vector.startswith(NO)}
    for name in pages:
        vectors = {vector for vector in there(name) if vector.startswith(NO)}
        assert set(page.refused(name)) == vectors, name
    assert {path.stem for path in page.PAGES.glob("*.vectors")} == set(making.MAKERS)


def test_every_kind_of_thing_has_a_vector_and_both_readers_know_it() -> None:
    assert READERS.keys() == service.READERS.keys()
    assert {kind_of(vector) for _, vector in ALL} == READERS.keys()


def test_every_message_verdict_and_kind_of_letter_has_its_vector() -> None:
    frames = {octets[0] for name, octets in there("wire").items() if name.startswith("frame-")}
    assert frames == set(page.numbers("wire", "message"))
    receipts = {str(one.said) for one in check(there("receipt")) if one.said}
    for verdict in page.numbers("receipt", "verdict").values():
        assert any(f"verdict={verdict!r}" in one for one in receipts), verdict
    letters = {str(one.said) for one in check(there("letter")) if one.said}
    for kind in page.numbers("letter", "letter").values():
        assert any(f"kind={kind}," in one for one in letters), kind


# What both say of octets that nobody made

# People type digits, and copy sheets in any company: how much of that is let pass, no page says.
TYPED = ("safety-number", "sheet")
SMALL = [
    (name, vector)
    for name, vector in ALL
    if kind_of(vector) not in TYPED and 0 < len(there(name)[vector]) <= 20_000
]


def second(kind: str, octets: bytes, given_: Given) -> bool:
    """Whether the second reader takes it."""
    try:
        READERS[kind](octets, given_)
    except Refused:
        return False
    return True


def first(kind: str, octets: bytes, given_: Given) -> bool:
    """Whether the service takes it, and writes it again as it was."""
    try:
        return service.read(kind, octets, given_) == octets
    except (service.Refused, UnicodeDecodeError):
        return False


def changed(octets: bytes, draw: st.DrawFn) -> bytes:
    """The octets with something flipped, left out, put in or put twice."""
    at = draw(st.integers(0, max(len(octets) - 1, 0)))
    size = draw(st.integers(1, 40))
    match draw(st.sampled_from(["flip", "cut", "put", "twice", "number"])):
        case "flip":
            return octets[:at] + bytes([octets[at] ^ draw(st.integers(1, 255))]) + octets[at + 1 :]
        case "cut":
            return octets[:at] + octets[at + size :]
        case "put":
            return octets[:at] + draw(st.binary(min_size=1, max_size=size)) + octets[at:]
        case "twice":
            return octets[:at] + octets[at : at + size] * 2 + octets[at + size :]
        case _:
            return (
                octets[:at]
                + bytes([draw(st.sampled_from([0, 1, 127, 128, 255]))])
                + octets[at + 1 :]
            )


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A page, the kind of a vector in it, and that vector, changed."""
    name, vector = draw(st.sampled_from(SMALL))
    octets = there(name)[vector]
    if vector.startswith("frame-") and draw(st.booleans()):  # the size says so, too
        body = changed(octets[5:] or b"\0", draw)
        octets = octets[:1] + len(body).to_bytes(4, "big") + body
    else:
        octets = changed(octets, draw)
    return name, kind_of(vector), octets


# A bit that X25519 does not look at was let pass by the second reader.
HIGH_BIT = there("tlv")["no-epoch-key-small-order"][:-1] + b"\x90"


@example(("tlv", "epoch-key", HIGH_BIT))
@given(changes())
@settings(max_examples=400)
def test_service_and_second_reader_agree_on_what_was_changed(
    found: tuple[str, str, bytes],
) -> None:
    name, kind, octets = found
    assert second(kind, octets, given_in(name)) == first(kind, octets, given_in(name))


@given(vector=st.sampled_from(["letter-short", "letter-empty", "letter-blind"]), data=st.data())
@settings(max_examples=60)
def test_no_octet_of_a_letter_is_free(vector: str, data: st.DataObject) -> None:
    octets, given_ = there("letter")[vector], given_in("letter")
    at = data.draw(st.integers(0, len(octets) - 1))
    octets = octets[:at] + bytes([octets[at] ^ data.draw(st.integers(1, 255))]) + octets[at + 1 :]
    assert not second("letter", octets, given_)
    assert not first("letter", octets, given_)


# The command


def run(*command: str, folder: Path = TESTS) -> subprocess.CompletedProcess[str]:
    ours = {one: value for one, value in os.environ.items() if one != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=ours, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_commands_of_the_page_can_be_typed_and_need_nothing_of_the_service() -> None:
    text = (page.PAGES / "README.md").read_text()
    (block,) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert lines[0] == ["cd", "tests"]
    for words in lines[1:]:
        assert words[:3] == ["python3", "-m", "second_reader"]
        names = [
            str(path)
            for one in words[3:]
            for path in (sorted(TESTS.glob(one)) if "*" in one else [one])
        ]
        done = run(sys.executable, "-m", "second_reader", *names)
        assert done.returncode == 0, done.stdout + done.stderr
        assert " 0 wrong" in done.stdout
        assert len(done.stdout.splitlines()) >= len(names) - 1


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    mine = tmp_path / "mine.vectors"
    good = there("records")["contact-full"].hex()
    mine.write_text(
        f"contact =\n    {good}\nno-contact-of-mine =\n    {good}\ncontact-cut =\n    00\n"
    )
    done = run(sys.executable, "-m", "second_reader", str(mine))
    assert done.returncode == 1
    assert "! no-contact-of-mine: read:" in done.stdout
    assert "! contact-cut: refused: a contact is cut short" in done.stdout
    assert "1 read" not in done.stdout
    mine.write_text("letter =\n    00\nteapot =\n    00\n")
    done = run(sys.executable, "-m", "second_reader", str(mine))
    assert "is missing in the file" in done.stdout
    assert "teapot is of no kind" in done.stdout
    for text in (
        "contact =\n    0g\n",
        "contact =\n    00*x\n",
        "00ff\n",
        "contact =\n    00\ncontact =\n    00\n",
    ):
        mine.write_text(text)
        assert run(sys.executable, "-m", "second_reader", str(mine)).returncode == 2
    assert run(sys.executable, "-m", "second_reader", str(tmp_path / "none")).returncode == 2
    assert run(sys.executable, "-m", "second_reader").returncode == 2
    assert run(sys.executable, "-m", "second_reader", "--help").returncode == 0


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "cryptography").mkdir()
    (tmp_path / "cryptography" / "__init__.py").write_text("")  # an old one
    done = run("env", f"PYTHONPATH={tmp_path}", sys.executable, "-m", "second_reader", "x")
    assert done.returncode == 1
    assert "`cryptography` 50 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_read_as_it_was_written() -> None:
    text = files.write("records", there("records"))
    assert read_file(text) == there("records")
    assert read_file("run =\n    01\n    00*3\n    02\n") == {"run": b"\1\0\0\0\2"}
