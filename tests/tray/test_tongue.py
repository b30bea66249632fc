"""In German: what is said, what is counted, and that nothing in the sources is said past it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import catalogues
from postroad_tray import ages, numbers, state, tongue
from postroad_tray.window import peer_rows
from tray import pictures

SOURCES = sorted((catalogues.ROOT / "tray" / "postroad_tray").rglob("*.py"))
WORDS = re.compile(r"[A-Za-z]{2,} +[a-z]{2,}|[a-z]\.$")
# Of widgets: what these are given is read.
SHOWN = re.compile(
    r"setText|setToolTip|setAccessible(Name|Description)|setWindowTitle|setPlaceholderText"
    r"|Q(Label|PushButton|CheckBox|RadioButton|GroupBox|Action)|addRow|addTab"
)
NOT_READ = {
    "sudo apt install ",  # what is typed is of no language
    "There is ",  # to a program that calls us wrongly over the bus
}


@pytest.fixture
def german(tmp_path: Path) -> Iterator[None]:
    catalogues.compile_into(tmp_path)
    tongue.speak(["de"], tmp_path)
    tongue.write_numbers(",")
    yield
    tongue.speak(["en"], tmp_path)
    tongue.write_numbers(".")


@pytest.mark.usefixtures("german")
def test_times_are_said_with_their_case_and_their_comma() -> None:
    now = pictures.NOW
    assert tongue.language() == "de"
    assert ages.ago(now - 200, now) == "vor 3 min"
    assert ages.ago(now - 3 * ages.DAY, now) == "vor 3 Tagen"
    assert ages.ahead(now + 3 * ages.DAY, now) == "in 3 Tagen"
    assert ages.lasting(3 * ages.DAY) == "3 Tage"
    assert numbers.span(2.5 * 3600) == "2,5 Std."
    assert numbers.span(2.5 * ages.DAY) == "2,5 Tage"
    assert peer_rows.in_milliseconds(1.26) == "1,3 ms"
    assert re.fullmatch(r"(Mon|Diens|Donners|Frei|Sams|Sonn)tag, \d\d:\d\d Uhr|Mittwoch, .*",
                        state.moment(now + 2 * ages.DAY, now))  # fmt: skip


@pytest.mark.usefixtures("german")
def test_one_and_many_are_two_forms() -> None:
    said = ("{n} letter is under way", "{n} letters are under way")
    assert tongue.many(*said, 1) == "1 Brief ist unterwegs"
    assert tongue.many(*said, 1200) == "1200 Briefe sind unterwegs"


def test_without_a_catalogue_all_is_english(tmp_path: Path) -> None:
    tongue.speak(["de"], tmp_path)  # where none is
    assert tongue.language() == ""
    assert numbers.span(2.5 * 3600) == "2.5 h"


def test_the_environment_chooses_language_and_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    catalogues.compile_into(tmp_path)
    monkeypatch.setenv("POSTROAD_CATALOGUES", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "de_AT")
    tongue.speak()
    try:
        assert tongue._("Contacts") == "Kontakte"
    finally:
        tongue.speak(["en"], tmp_path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_whatever_a_person_reads_is_translated(path: Path) -> None:
    tree = ast.parse(path.read_text())
    passed = {id(one) for node in ast.walk(tree) if is_not_read(node) for one in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_read = id(node) not in passed and WORDS.search(node.value)
            assert not is_read or node.value in NOT_READ, f"{path.name}:{node.lineno} {node.value}"
        if isinstance(node, ast.Call) and SHOWN.fullmatch(name_of(node)):
            for one in node.args:
                is_text = isinstance(one, ast.Constant) and isinstance(one.value, str)
                is_word = is_text and any(map(str.isalpha, str(ast.literal_eval(one))))
                assert not is_word, f"{path.name}:{node.lineno}"


def is_not_read(node: ast.AST) -> bool:
    """Translated, for those who read code or the log, or for the one who catches it."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logging"))):
            return True
        case ast.Call():
            return name_of(node) in ("_", "many") or name_of(node).endswith("Error")
        case ast.Expr(value=ast.Constant()) | ast.Assert():
            return True
        case ast.Raise(exc=ast.Call() as call):
            return name_of(call) != "NotHere"  # whose sentence is told to whoever started us
        case _other:
            return False


def name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _other:
            return ""
