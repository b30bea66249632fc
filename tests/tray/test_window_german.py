"""The window in German, with the real widgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QAbstractButton, QLabel

import catalogues
from postroad_tray import numbers, qt_program, tongue
from postroad_tray.window import health, open_window
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    catalogues.compile_into(tmp_path / "locale")
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    before = QLocale()
    tongue.speak(["de"], tmp_path / "locale")
    qt_program._write_as_here()
    yield
    QLocale.setDefault(before)
    tongue.speak(["en"], tmp_path)
    tongue.write_numbers(".")


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize("name", ["healthy", "trouble", "paused", "off", "hostile"])
def test_in_german_nothing_is_cut_off_and_each_key_is_for_one_thing(name: str) -> None:
    frame = open_window(StandIn(pictures.ALL[name]()), now=lambda: pictures.NOW)
    for entry in seeing.narrow_pages(frame):
        assert not seeing.cut_off(frame), entry
        keys: dict[str, set[str]] = {}
        labels = [one for one in frame.findChildren(QLabel) if one.buddy() is not None]
        named: list[QAbstractButton | QLabel] = [*frame.findChildren(QAbstractButton), *labels]
        for one in named:
            text = one.text()
            if one.isVisibleTo(frame) and (key := QKeySequence.mnemonic(text).toString()):
                keys.setdefault(key, set()).add(text)
        assert all(len(texts) == 1 for texts in keys.values()), (entry, keys)


@pytest.mark.usefixtures("german")
def test_numbers_and_dates_are_german_where_the_sentences_are() -> None:
    assert numbers.span(9000) == "2,5 Std."
    assert health._short_date(date(2026, 3, 9)) == "9. März"
    assert health._whole_date(date(2026, 3, 9)) == "09.03.26"


@pytest.mark.usefixtures("german")
def test_where_the_desktop_is_of_our_language_its_country_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    QLocale.setDefault(QLocale("de_CH"))
    monkeypatch.setenv("LANG", "de_CH.UTF-8")
    qt_program._write_as_here()
    assert numbers.span(9000) == "2.5 Std."
