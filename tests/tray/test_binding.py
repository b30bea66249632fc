"""Qt's binding, as far as a program that runs for weeks has to trust it."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtWidgets import QLabel

CALLS = 2000


@pytest.mark.usefixtures("qt")
def test_a_call_gives_none_of_python_away() -> None:
    """PySide6 6.12.0 was built for Pythons in which None lives for ever: on 3.11 each call that
    answers nothing took a reference of it, and after some thousand the program was gone."""
    label = QLabel()
    before = sys.getrefcount(None)
    for _number in range(CALLS):
        label.setText("a")
    assert sys.getrefcount(None) > before - CALLS // 2
