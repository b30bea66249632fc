"""What the thread that draws feels while each object on the bus changes twice a second.

    make bench ONLY=tray_changes [ARGS="3 12"]      rounds, seconds of each page

A program that is not the service has its name on a bus of its own, and tells of 50 contacts, 50
nodes and 200 letters, each of which changes twice a second, as often as the service tells of it.
The real line reads it in its thread, and the real window on a screen that nobody sees draws it.
Measured is each turn of Qt's loop: `wall_ms` is what a person feels, `own_ms` the processor time of
the thread that draws, which a busy computer does not lengthen. `pictures_a_second` and
`processor_share` (of one core, both threads) say what it costs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

import results
from bus_scene import impostor
from mail_program import quantiles
from postroad_tray import lean, window
from postroad_tray.bus import Line
from postroad_tray.program import SWITCH_SECONDS
from session_bus import session_bus

PAGES = ("overview", "peers", "queue")
SETTLING_SECONDS = 3.0


def watched(page: str, seconds: float) -> dict[str, object]:
    from PySide6.QtWidgets import QApplication

    from postroad_tray.qt_program import Poster
    from postroad_tray.window import open_window

    application = QApplication.instance() or QApplication(["postroad-tray"])
    poster = Poster()
    line = Line(poster.post)
    pictures = 0

    def seen(_picture: object) -> None:
        nonlocal pictures
        pictures += 1

    line.watch(seen)
    line.start()
    frame = open_window(line, page=page)
    wall: list[float] = []
    own: list[float] = []
    used = began = 0.0
    ends = time.monotonic() + SETTLING_SECONDS + seconds
    while (now := time.monotonic()) < ends:
        if not began and now > ends - seconds:
            used, began, pictures = time.process_time(), now, 0
        at, of_thread = time.perf_counter(), time.thread_time()
        application.processEvents()
        if began:
            wall.append(time.perf_counter() - at)
            own.append(time.thread_time() - of_thread)
        time.sleep(0.002)
    took = time.monotonic() - began
    found: dict[str, object] = {
        "pictures_a_second": round(pictures / took, 1),
        "processor_share": round((time.process_time() - used) / took, 2),
        "wall_ms": quantiles(wall),
        "own_ms": quantiles(own),
        "n": len(wall),
    }
    assert len(line.picture.messages) == 200, "the letters are seen"
    frame.close()
    frame.deleteLater()
    line.close()
    line.join(2.0)
    application.processEvents()
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    seconds = float(sys.argv[2]) if sys.argv[2:] else 12.0
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sys.setswitchinterval(SWITCH_SECONDS)
    window.load()
    lean.freeze()  # as the program does it
    figure: dict[str, list[object]] = {page: [] for page in PAGES}
    with (
        tempfile.TemporaryDirectory(prefix="pr-") as folder,
        pytest.MonkeyPatch.context() as patch,
        session_bus(Path(folder)),
        impostor("a_busy_network"),
    ):
        patch.setenv("XDG_CONFIG_HOME", folder)
        for number in range(rounds):
            for page in results.dice(f"tray changes {number}").sample(PAGES, len(PAGES)):
                figure[page].append(watched(page, seconds))
    results.write("tray_changes", dict(figure), rounds)


if __name__ == "__main__":
    main()
