"""Bundles as their owners have them: real nodes that are off the network, and files."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.test_node import all_subjects, letter
from person import Person, ended
from postroad.base import limits


@pytest.fixture
def people(short_folder: Path) -> Iterator[list[Person]]:
    """Anna and Bora, each with a node that was never on any network."""
    made = [Person("anna", short_folder, 0), Person("bora", short_folder, 1)]
    with ended(made):
        for one in made:
            one.set_up()
            (one.folder / "data" / "pause").touch()
            one.start()
            assert one.postroad("pause")["paused"]
        yield made


def test_two_paused_nodes_meet_and_write_by_files(people: list[Person], tmp_path: Path) -> None:
    anna, bora = people
    hello, back, again = (tmp_path / f"{name}.bundle" for name in ("hello", "back", "again"))

    told = bora.type("bundle", "write", str(hello), "--invite")
    assert told.returncode == 0, told.stderr
    assert "no letters, no receipts and an invitation" in told.stdout
    assert "postroad bundle read hello.bundle --answer back.bundle --accept" in told.stdout
    assert stat.S_IMODE(hello.stat().st_mode) == 0o600

    seen = anna.type("bundle", "read", str(hello))
    assert f"It has an invitation of {bora.address}." in seen.stdout
    assert "--accept" in seen.stdout
    took = anna.postroad("bundle", "read", str(hello), "--accept", "--answer", str(back))
    assert (took["inviter"], took["accepted"]) == (bora.address, True)
    assert took["answer"]["letters"] == 1

    took = bora.postroad("bundle", "read", str(back), "--answer", str(again))
    assert (took["filed"], took["author"]) == (1, anna.address)
    assert (took["answer"]["letters"], took["answer"]["receipts"]) == (1, 1)
    assert "Subject: Anna accepted your invitation" in all_subjects(bora)

    anna.submit(bora.address, letter(anna, bora))
    large = letter(anna, bora, "large", "0123456789\n" * 300_000)
    anna.submit(bora.address, large)
    took = anna.postroad("bundle", "read", str(again))
    assert (took["filed"], took["receipts"]) == (1, 1)

    second = tmp_path / "second.bundle"
    written = anna.postroad("bundle", "write", str(second), "--for", "bora")
    assert (written["letters"], written["left_out"]) == (2, 0)
    assert second.stat().st_size > len(large)
    assert "It is also in a bundle, written on 20" in anna.type("queue").stdout
    assert bora.postroad("bundle", "read", str(second))["filed"] == 2
    assert {"Subject: hello", "Subject: large"} <= set(all_subjects(bora))
    third = tmp_path / "third.bundle"
    assert bora.postroad("bundle", "write", str(third))["receipts"] >= 2
    told = anna.type("bundle", "read", str(third))
    assert "2 receipts came for letters of yours." in told.stdout
    assert anna.postroad("queue")["queue"] == []
    assert not list(tmp_path.glob(".*")), "a draft was left behind"


def test_what_is_wrong_with_a_file_is_said_in_words(people: list[Person], tmp_path: Path) -> None:
    anna, _ = people
    good = tmp_path / "good.bundle"
    anna.postroad("bundle", "write", str(good))
    octets = good.read_bytes()
    for name, wrong, told in (
        ("letter.pdf", b"%PDF-1.7 and so on", "This file is not a bundle of Postroad's."),
        ("empty", b"", "This file is not a bundle of Postroad's."),
        ("newer", b"PRBUNDL\x02" + octets[8:], "needs a newer Postroad"),
        ("cut", octets[:40], "The bundle is cut short. Ask for it again."),
        ("huge", b"\0" * 3_000_000, "not a bundle"),
    ):
        (tmp_path / name).write_bytes(wrong)
        done = anna.type("bundle", "read", str(tmp_path / name))
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr
        done = anna.type("bundle", "read", str(tmp_path / name), "--json")
        assert told in json.loads(done.stdout)["error"]
    for words, told in (
        (("read", str(tmp_path / "nosuch")), "nosuch cannot be read: No such file"),
        (("write", str(good)), "Choose another name, or remove it first."),
        (("write", str(tmp_path / "no" / "such")), "cannot be written: No such file"),
        (("write", str(tmp_path / "x"), "--for", "carl"), "You have no contact called 'carl'"),
        (("read", str(good), "--answer", str(good)), "Choose another name"),
    ):
        done = anna.type("bundle", *words)
        assert done.returncode == 1, words
        assert told in done.stderr
    assert good.read_bytes() == octets
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_node_s_memory_does_not_grow_with_a_bundle(people: list[Person], tmp_path: Path) -> None:
    """Many large letters, and no more of them in memory than a piece of one."""
    anna, _ = people
    junk = tmp_path / "junk.bundle"
    size = limits.SEALED_BYTES_MAX
    with junk.open("wb") as file:
        file.write(b"PRBUNDL\x01")
        for number in range(8):
            head = b"\x01\0\x20" + bytes([number]) * 32 + b"\x02\0\x04" + size.to_bytes(4, "big")
            head += b"\x03\0\x08" + bytes(8)
            file.write(b"\x04" + len(head).to_bytes(4, "big") + head)
            for _ in range(size // limits.MIB):
                file.write(bytes(limits.MIB))
    before = anna.memory_bytes("VmHWM")
    done = anna.type("bundle", "read", str(junk), "--json")
    assert "cut short" in json.loads(done.stdout)["trouble"]
    assert json.loads(done.stdout)["unreadable"] == 8
    assert anna.memory_bytes("VmHWM") - before < size
