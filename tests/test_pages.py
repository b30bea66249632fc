"""docs/protocol/ and the code say the same, and the comparison notices when they do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pages
from postroad.protocol import wire
from second_reader import page


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the pages, to be written on."""
    for path in page.PAGES.glob("*.md"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(page, "PAGES", tmp_path)
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    page.tables.cache_clear()
    page.structures.cache_clear()


def test_pages_and_code_say_the_same() -> None:
    assert list(pages.differences()) == []


def test_the_table_that_a_difference_prints_is_one_that_a_page_can_have(changed: Path) -> None:
    owners = pages.owners()
    for where in set(owners.values()):
        mine = [message for message, there in owners.items() if there == where]
        (changed / f"{where}.md").write_text("\n\n".join(map(pages.table_of, mine)))
        _forget()
        said = {pages.name_of(one): pages.fields_of(one) for one in mine}
        assert page.structures(where) == said


@pytest.mark.parametrize(
    ("where", "old", "new", "told"),
    [
        ("wire.md", "| 2 | size | number | 4 | of it |\n", "", "| 2 | size | number | 4 |"),
        ("wire.md", "| 17 | FindRecord |", "| 29 | FindRecord |", "17 is None there"),
        ("wire.md", "| 4 | FULL |", "| 4 | CROWDED |", "4 is CROWDED there"),
        ("wire.md", "Ask | is |", "Asking | is |", "a table of Asking"),
        ("wire.md", "1 to 32 times", "1 to 33 times", "1 to 32 times"),
        ("wire.md", "| `FRAME_BYTES_MAX` | 65,536 |", "| `FRAME_BYTES_MAX` | 65,537 |", "65537"),
        ("letter.md", "| 9 | blind | flag |", "| 9 | blind | number |", "| 9 | blind | flag |"),
        ("receipt.md", "| 3 | FORGED | 5.7.7 |", "| 3 | FORGED | 5.7.1 |", "5.7.7"),
        ("tlv.md", "| `postroad/lease/1` |", "| `postroad/lease/2` |", "postroad/lease/1"),
        ("tls.md", "| 4 | CREDIT |", "| 8 | CREDIT |", "8 is CREDIT there"),
        ("records.md", "| 2 | revoke |", "| 4 | revoke |", "2 is None there"),
    ],
)
def test_what_differs_is_told(changed: Path, where: str, old: str, new: str, told: str) -> None:
    text = (changed / where).read_text()
    assert old in text
    (changed / where).write_text(text.replace(old, new))
    _forget()
    assert told in "\n".join(pages.differences())


def test_every_kind_of_message_has_its_answer_and_its_place_in_the_page() -> None:
    text = (page.PAGES / "wire.md").read_text()
    for kind, message in wire._KINDS.items():
        (heading,) = [
            line
            for line in text.splitlines()
            if line.startswith("### ") and f" {kind} {message.__name__}," in f"{line[3:]},"
        ]
        part = text[text.index(heading) :].partition("\n#")[2]
        assert len(part) > 50, heading


def test_every_link_in_the_pages_leads_somewhere() -> None:
    for path in page.PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+[.]md)", path.read_text()):
            assert (path.parent / target).exists(), (path.name, target)
