"""What is copied, and how long a secret stays so."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from postroad_tray.window import pieces
from tray import seeing

pytestmark = pytest.mark.usefixtures("qt")


def copied() -> str:
    return QGuiApplication.clipboard().text()


def copy_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SECRET_COPIED_MS", 50)
    button = pieces.copy_button("the password", lambda: "abcd-efgh", is_secret=True)
    button.show()
    seeing.click(button)
    button.deleteLater()  # its dialog was closed
    assert copied() == "abcd-efgh"


def test_a_secret_is_called_one_and_taken_away_again(monkeypatch: pytest.MonkeyPatch) -> None:
    copy_a_secret(monkeypatch)
    hint = QGuiApplication.clipboard().mimeData().data("x-kde-passwordManagerHint")
    assert bytes(hint.data()) == b"secret"
    seeing.until(lambda: copied() == "")


def test_what_was_copied_after_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    copy_a_secret(monkeypatch)
    QGuiApplication.clipboard().setText("abcd-efgh")
    QTest.qWait(200)
    assert copied() == "abcd-efgh"
