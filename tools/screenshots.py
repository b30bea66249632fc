#!/usr/bin/env python3
"""Take a picture of every page of the tray's window, light, dark and at 200 %.

Purpose: what people see, from nodes that run: Anna's, on a session bus, her contacts', one of whom
is away, and a stranger's. Each look is taken by a process of its own, since Qt takes its scale and
its colours when it begins.
Invariants: nothing is drawn that a node did not tell; packets stay on this machine.

    tools/screenshots.py FOLDER [LOOK ...]      FOLDER/PAGE-LOOK.png; LOOK: light, dark, large
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from bus_scene import scene, write
from person import Person, ended, knock, meet, until

TAKES = "POSTROAD_LOOK"  # in the process that takes the pictures of one look
LOOKS = ("light", "dark", "large")
WIDTH, HEIGHT = 960, 680
CONTACTS = ("carla", "deniz", "emil")
LETTERS = 6
QUIET_MS = 500
ANSWERED_TIMES_MAX = 40
DARK_GROUND = "#2d2d2d"
SECONDS_MAX = 60.0


def main(arguments: list[str]) -> int:
    folder, *looks = arguments or ["build/screenshots"]
    Path(folder).mkdir(parents=True, exist_ok=True)
    if os.environ.get(TAKES):
        return take(Path(folder), os.environ[TAKES])
    with scene("dbus-next") as found:
        others = [Person(name, found.folder, slot) for slot, name in enumerate(CONTACTS, 2)]
        stranger = Person("zoe", found.folder, len(CONTACTS) + 2)
        with ended([*others, stranger]):
            live(found.anna, [found.bora, *others], stranger)
            os.environ["PATH"] = f"{installed(found.anna)}:{os.environ['PATH']}"
            for look in looks or LOOKS:
                ours = {**os.environ, TAKES: look, "QT_QPA_PLATFORM": "offscreen"}
                ours["QT_SCALE_FACTOR"] = "2" if look == "large" else "1"
                command = [sys.executable, __file__, folder]
                done = subprocess.run(command, env=ours, check=False)
                if done.returncode:
                    return done.returncode
    return 0


def live(anna: Person, contacts: list[Person], stranger: Person) -> None:
    """Some days of a person's mail, in some seconds."""
    bus = os.environ.pop("DBUS_SESSION_BUS_ADDRESS")  # Anna's node alone is on it
    for one in [*contacts[1:], stranger]:
        one.set_up()
        one.start()
    for one in contacts[1:]:
        meet(anna, one)
    meet(contacts[1], stranger)  # by whom she finds Anna
    for one in contacts:
        write(anna, one, LETTERS, "Hello")
        write(one, anna, LETTERS, "Hello")
    until(lambda: anna.postroad("statistics")["under_way"] == 0, "all letters arrive")
    anna.postroad("verify", contacts[0].name, "--matches")
    contacts[-1].stop()
    write(anna, contacts[-1], 2, "When you are back")
    knock(stranger, anna, "May I?")
    until(lambda: bool(anna.postroad("requests")["requests"]), "the stranger's letter comes", 120.0)
    anna.postroad("invite", "--name", "Frieda")
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus


def installed(anna: Person) -> Path:
    """A folder in which the command `postroad` is hers, as if it were installed."""
    place = anna.folder / "bin"
    place.mkdir()
    (place / "postroad").write_text(f'#!/bin/sh\nexec {shlex.join(anna.command)} "$@"\n')
    (place / "postroad").chmod(0o700)
    return place


def take(folder: Path, look: str) -> int:
    """Look at each page, wait until it is quiet, and keep what is seen."""
    from PySide6.QtCore import QObject, Qt, Signal, Slot
    from PySide6.QtGui import QColor, QPalette
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication, QLabel, QTableView, QWidget

    from postroad_tray.bus import Line
    from postroad_tray.facts import Link
    from postroad_tray.window import open_window

    class Poster(QObject):
        posted = Signal(object)

        @Slot(object)
        def call(self, deliver: object) -> None:
            deliver()  # type: ignore[operator]

    def waits(frame: QWidget) -> bool:
        """Whether something on it has been asked, and not answered."""
        shown = [one.text() for one in frame.findChildren(QLabel) if one.isVisibleTo(frame)]
        tables = [one for one in frame.findChildren(QTableView) if one.isVisibleTo(frame)]
        is_empty = any(one.model().rowCount() == 0 for one in tables)  # here none has to be
        return is_empty or any(text == "–" or text.startswith("Asking") for text in shown)

    application = QApplication(["postroad-tray"])
    application.setStyle("Fusion")
    if look == "dark":
        application.setPalette(QPalette(QColor(DARK_GROUND)))
    poster = Poster()
    poster.posted.connect(poster.call, Qt.ConnectionType.QueuedConnection)
    line = Line(poster.posted.emit)
    line.start()
    try:
        waited = 0
        while line.picture.link is not Link.THERE and waited < SECONDS_MAX * 1000:
            QTest.qWait(50)
            waited += 50
        frame = open_window(line)
        frame.resize(WIDTH, HEIGHT)
        for name, entry in frame._entries.items():
            if entry.listed(line.picture):
                frame.turn_to(name)
                for _again in range(ANSWERED_TIMES_MAX):
                    QTest.qWait(QUIET_MS)
                    if not waits(frame):
                        break
                path = folder / f"{name}-{look}.png"
                if not frame.grab().save(str(path)):
                    print(f"{path} cannot be written.", file=sys.stderr)
                    return 1
                print(path)
        frame.hide()
    finally:
        line.close()
        line.join(5.0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
