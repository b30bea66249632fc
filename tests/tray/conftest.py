"""Real widgets on Qt's own screen that nobody sees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev import QT_PACKAGES

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication


def _why_without_qt() -> str:
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:  # the binding is in our lock, the libraries below it are Debian's
        return f"needs the Debian packages: {' '.join(QT_PACKAGES)} ({error})"
    return ""


WITHOUT_QT = _why_without_qt()


class Unread(pytest.Module):
    """Tests that cannot even be imported here."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        pytest.skip(WITHOUT_QT, allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    wants_qt = "from PySide6" in module_path.read_text() if WITHOUT_QT else False
    if not wants_qt:
        return None
    unread: pytest.Module = Unread.from_parent(parent, path=module_path)
    return unread


@pytest.fixture(scope="session")
def _application() -> QApplication:
    if WITHOUT_QT:
        pytest.skip(WITHOUT_QT)
    from PySide6.QtWidgets import QApplication

    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    return QApplication(["postroad-tray"])


@pytest.fixture
def qt(_application: QApplication, tmp_path: Path) -> Iterator[QApplication]:
    """The application, with its settings in this test's folder; its windows go with the test."""
    from PySide6.QtCore import QCoreApplication, QEvent, QSettings

    settings = str(tmp_path / "settings")
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, settings)
    yield _application
    # What is there when Python has ended, this screen's clipboard would have it destroy.
    _application.clipboard().clear()
    for window in _application.topLevelWidgets():
        window.hide()
        window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
