"""The window as a program beside the light icon: whatever it says at its end, a click opens it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from postroad_tray import light_program
from postroad_tray.light_program import LAST_WORDS_MAX, WindowProgram, _LastWords
from postroad_tray.post import Post

SECONDS_MAX = 20.0


class Beside:
    """A window program that is these lines of Python, and what was said of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
        def again(*_words: str) -> list[str]:
            return [sys.executable, "-c", lines]

        monkeypatch.setattr(light_program, "again", again)
        self.post = Post()
        self.said: list[str] = []
        self.window = WindowProgram(self.post, self.said.append)

    def until_it_ended(self) -> None:
        assert self.until(lambda: not self.window._processes)

    def until(self, holds: Callable[[], bool]) -> bool:
        return self.post.until(holds, SECONDS_MAX, time.monotonic)


def test_last_words_of_no_language_are_said_and_the_next_click_opens_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = "import sys; sys.stderr.buffer.write(b'caf\\xe9'); sys.exit(1)"
    beside = Beside(monkeypatch, lines)
    for times in (1, 2):
        beside.window.open_or_end()
        beside.until_it_ended()
        assert beside.said == ["caf\N{REPLACEMENT CHARACTER}"] * times


def test_of_what_it_writes_the_end_is_kept() -> None:
    reads, writes = os.pipe()
    words = _LastWords(os.fdopen(reads, "rb"))
    with os.fdopen(writes, "wb") as stream:
        for _times in range(100):
            stream.write(b"chatter " * 1000)
        stream.write(b"the end")
    words.join(SECONDS_MAX)
    assert len(words.said()) == LAST_WORDS_MAX
    assert words.said().endswith("chatter the end")


def test_a_program_that_it_started_and_that_outlives_it_holds_up_no_click(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '120'], start_new_session=True)\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "sys.exit('It cannot be opened.')"
    )
    beside = Beside(monkeypatch, lines)
    beside.window.open()
    try:
        beside.until_it_ended()
        assert beside.said == ["It cannot be opened."]
    finally:
        os.kill(int((tmp_path / "child").read_text()), 15)
