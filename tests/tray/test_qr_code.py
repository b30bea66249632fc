"""Codes for a camera: what a machine reads in them, and that nobody waits while they are made."""

from __future__ import annotations

import threading

import pytest
import segno
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QImage

from postroad_tray.client import Answer
from postroad_tray.window import open_window, qr_code
from postroad_tray.window.people_dialogs import Invite
from postroad_tray.window.qr_code import OCTETS_MAX, QUIET, QrCode
from tray import pictures, seeing
from tray.standing_in import StandIn

LINK = "postroad:" + "a7b3" * 60


def shown(text: str) -> QrCode:
    code = QrCode()
    code.show_text(text, "")
    seeing.until(code.isVisible)
    return code


@pytest.mark.usefixtures("qt")
def test_it_can_be_read_by_a_machine() -> None:
    code = shown(LINK)
    code.resize(code.sizeHint())
    image = code.grab().toImage()
    side = code._module()
    modules = [bytes(row) for row in segno.make(LINK, micro=False).matrix]
    assert image.width() == side * (len(modules) + 2 * QUIET)
    seen = [
        bytes(
            image.pixelColor((x + QUIET) * side + dot, (y + QUIET) * side + dot).lightness() < 128
            for x in range(len(modules))
        )
        for dot in (0, side - 1)
        for y in range(len(modules))
    ]
    assert seen == modules * 2
    assert image.pixelColor(side, side).lightness() == 255


@pytest.mark.usefixtures("qt")
def test_it_is_made_in_a_thread_that_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    made = qr_code.picture

    def seen(text: str) -> QImage:
        threads.append(threading.current_thread())
        return made(text)

    monkeypatch.setattr(qr_code, "picture", seen)
    shown(LINK)
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.usefixtures("qt")
def test_the_text_that_was_wanted_last_is_shown() -> None:
    code = QrCode()
    code.show_text("a" * OCTETS_MAX, "")
    code.show_text("b", "")
    seeing.until(code.isVisible)
    assert code._picture == qr_code.picture("b")
    other = shown("c" * OCTETS_MAX)  # which began later than the long one, and takes as long
    assert code._picture == qr_code.picture("b")
    assert other._picture.width() > code._picture.width()


@pytest.mark.usefixtures("qt")
def test_nobody_minds_a_code_that_is_gone_before_it_is_made() -> None:
    gone = QrCode()
    gone.show_text("a" * OCTETS_MAX, "")
    gone.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert shown("b" * OCTETS_MAX).isVisible()


@pytest.mark.parametrize(
    "text", ["a" * (OCTETS_MAX + 1), "€" * 1000, "\ud800", "\ud800" * (OCTETS_MAX + 1)]
)
def test_what_is_too_long_has_none(text: str) -> None:
    assert qr_code.picture(text).isNull()


@pytest.mark.parametrize("text", ["a" * OCTETS_MAX, "€" * (OCTETS_MAX // 3), "🂡" * 500])
def test_what_is_as_long_as_may_be_has_one(text: str) -> None:
    assert qr_code.picture(text).width() > 100


@pytest.mark.usefixtures("qt")
def test_a_link_that_is_too_long_for_a_code_is_shown_without() -> None:
    client = StandIn(pictures.with_people(2))
    client.answers["Invite"] = Answer(("postroad:" + "€" * 1900, {}))
    frame = open_window(client, page="contacts", now=lambda: pictures.NOW)
    frame.turn_to("invite")
    assert frame.page is not None
    (dialog,) = frame.page.findChildren(Invite)
    seeing.click(dialog.make)
    assert dialog.link.isVisibleTo(dialog)
    shown("b" * OCTETS_MAX)  # by when the other one would be there, too
    assert not dialog.code.isVisibleTo(dialog)
