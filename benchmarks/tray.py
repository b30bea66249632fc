"""What the tray costs: pages opened among many people and letters, memory, and rest.

    make bench ONLY=tray [ARGS="9 60"]      rounds, seconds watched while nobody looks

Two parts. Pages: the real window on Qt's own screen that nobody sees, with a picture of 50 peers,
1,000 letters on their way and 90 days of statistics, which no real node could be brought to within
a benchmark. Each page is opened in a window that is new, and has been drawn. `open_ms` is until it
is drawn, `longest_turn_ms` the longest that one turn of Qt's loop took until all was quiet; `cpu`
in a name is what the thread had of the processor meanwhile, which others cannot lengthen. `ratio`
is the opening against so many labels of Qt's own laid out and drawn in the same round, which tells
a slow computer from a slow page. Then the picture changes, as it does with each signal of the
service (`change_ms`).

Process: the real program on a real bus, on a screen of X11 (Xvfb), or where there is none on Qt's
own; beside a real node, and once more in a crowd: beside a program that tells of the same 50 peers
and 1,000 letters as a service would. Its window is opened, looked through, looked through again
(what the program has given back of libraries is there again then), and closed, and the program is
watched from /proc: resident and proportional memory, of what kind it is, and how often any of its
threads was woken while nobody looked.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import bus_scene
import results
from person import until
from postroad_tray import instance, lean, window
from postroad_tray.trails import Trails
from screens import screen
from session_bus import LibraryClient, session_bus

sys.path.pop(0)  # where this file lies, which has the name of a package that it imports
from tray import pictures
from tray.standing_in import StandIn

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

OPEN_MILLISECONDS_MAX = 200.0
TURN_MILLISECONDS_MAX = 50.0
RESIDENT_MB_MAX = 70.0
QUIET_TURNS = 5
PAGES = ("peers", "queue", "health", "contacts", "setup", "overview")
LABELS = 300
# Of mappings, by what is in their names.
KINDS = {
    r"^$|^\[": "memory of its own",
    r"/(libQt6|libicu)|/plugins/": "Qt",
    r"/Qt\w+\.abi3|/lib(pyside|shiboken)6": "Qt's binding",
    r"/python3\S*$|/libpython|/lib-dynload/": "Python",
    r"memfd:|/SYSV": "shared with the screen",
}
OTHER_LIBRARIES, OTHER_FILES = "other libraries", "fonts and other files"
# The program, and a line from outside that closes its windows, as a person does.
CLOSED_FROM_OUTSIDE = """
import sys, threading
from postroad_tray import program

def listen():
    sys.stdin.readline()
    # Only now: two threads that import Qt's binding at once wait for each other for good.
    from PySide6.QtCore import QCoreApplication, QMetaObject, Qt
    QMetaObject.invokeMethod(
        QCoreApplication.instance(), "closeAllWindows", Qt.ConnectionType.QueuedConnection
    )
    sys.stdin.readline()

threading.Thread(target=listen, daemon=True).start()
sys.exit(program.main(sys.argv[1:]))
"""


# --- pages ----------------------------------------------------------------------------------------


def client() -> StandIn:
    from postroad_tray.client import Answer

    standing = StandIn(pictures.crowded())
    standing.answers["GetStatistics"] = Answer((pictures.numbers(),))
    return standing


class Watch:
    """How long something took by the clock, and of the processor; milliseconds."""

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.thread_time()

    def read(self) -> tuple[float, float]:
        clock, processor = time.perf_counter(), time.thread_time()
        return (clock - self._clock) * 1000, (processor - self._processor) * 1000


def until_quiet(application: QApplication) -> tuple[float, float]:
    """Turn Qt's loop until nothing is left to do; the longest turn, by each measure."""
    longest, quiet = (0.0, 0.0), 0
    while quiet < QUIET_TURNS:
        watch = Watch()
        application.processEvents()
        took = watch.read()
        longest = max(longest[0], took[0]), max(longest[1], took[1])
        quiet = quiet + 1 if took[1] < 0.2 else 0
    return longest


def yardstick(application: QApplication) -> float:
    """Milliseconds until so many labels of Qt's own are laid out and drawn."""
    from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

    watch = Watch()
    window = QWidget()
    layout = QVBoxLayout(window)
    for number in range(LABELS):
        layout.addWidget(QLabel(f"letter {number} waits"))
    window.show()
    until_quiet(application)
    took = watch.read()[0]
    window.close()
    window.deleteLater()
    return took


def pages(rounds: int) -> dict[str, object]:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtWidgets import QApplication

    from postroad_tray.window.contents import contents

    application = QApplication(["postroad-tray"])
    window.load()
    lean.freeze()  # as the program does it
    picture = client().picture
    names = [one.name for one in contents(client(), Trails()) if one.listed(picture)]
    taken: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    until_quiet(application)
    yardstick(application)
    for number in range(rounds + 1):
        order = results.dice(f"tray {number}").sample(names, len(names))
        measured = yardstick(application)
        for name in order:
            standing = client()
            frame = window.open_window(standing, now=lambda: pictures.NOW)
            other = next(one for one in names if one != name)
            frame.turn_to(other)
            until_quiet(application)
            lean.give_back_libraries()  # as a second after the page before
            watch = Watch()
            frame.turn_to(name)
            turning = watch.read()
            longest = until_quiet(application)
            opened = watch.read()
            assert frame.page_name == name
            watch = Watch()
            node = replace(standing.picture.node, parcels_under_way=999)
            standing.show(replace(standing.picture, node=node))
            until_quiet(application)
            changed = watch.read()
            frame.hide()
            frame.deleteLater()
            until_quiet(application)
            if number == 0:  # modules are loaded, fonts are found: once in the life of the program
                continue
            figures = {
                "open_ms": opened[0],
                "open_cpu_ms": opened[1],
                "longest_turn_ms": max(turning[0], longest[0]),
                "longest_turn_cpu_ms": max(turning[1], longest[1]),
                "change_ms": changed[0],
                "ratio": opened[0] / measured,
            }
            for what, figure in figures.items():
                taken[name].setdefault(what, []).append(figure)
    return {
        name: {what: round(statistics.median(each), 2) for what, each in found.items()}
        for name, found in taken.items()
    }


# --- the process ----------------------------------------------------------------------------------


def has_name() -> bool:
    asker = LibraryClient("dbus-fast")
    daemon = bus_scene.DAEMON
    path = "/org/freedesktop/DBus"
    told = asker.call(path, daemon, "NameHasOwner", "s", instance.NAME, destination=daemon)
    return bool(told)


def memory(process: int) -> dict[str, float]:
    told = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Rss|Pss|Private_Dirty): +(\d+) kB", told, re.MULTILINE))
    return {f"{one.lower()}_mb": int(size) * 1024 // 10**5 / 10 for one, size in found.items()}


def by_kind(process: int) -> dict[str, float]:
    """Resident, in MB, of each kind of mapping."""
    found = dict.fromkeys([*KINDS.values(), OTHER_LIBRARIES, OTHER_FILES], 0)
    kind = ""
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        if head := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$", line):
            name = head[1]
            other = OTHER_LIBRARIES if ".so" in name else OTHER_FILES
            known = (one for sign, one in KINDS.items() if re.search(sign, name))
            kind = next(known, other)
        elif line.startswith("Rss:"):
            found[kind] += int(line.split()[1])
    return {what: size * 1024 // 10**5 / 10 for what, size in found.items()}


def woken(process: int) -> dict[str, int]:
    """How often each of its threads was."""
    counts = {}
    for status in Path(f"/proc/{process}/task").glob("*/status"):
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)
        assert found is not None
        counts[status.parent.name] = int(found[1])
    return counts


@contextmanager
def a_screen(folder: Path) -> Iterator[dict[str, str]]:
    """What the environment says of it."""
    if shutil.which("Xvfb") is None:
        yield {"QT_QPA_PLATFORM": "offscreen"}
    else:
        with screen(folder, "1280x1024") as display:
            yield {"QT_QPA_PLATFORM": "xcb", "DISPLAY": display}


@contextmanager
def a_crowd() -> Iterator[tuple[Path, str]]:
    """A folder, and a bus on which a program tells of 50 peers and 1,000 letters."""
    with (
        tempfile.TemporaryDirectory(prefix="pr-", dir="/tmp") as folder,
        session_bus(Path(folder)) as bus,
        bus_scene.impostor("a_crowd"),
    ):
        yield Path(folder), bus.address


@contextmanager
def a_node() -> Iterator[tuple[Path, str]]:
    """A folder, and a bus with a real node of one contact."""
    with bus_scene.scene("dbus-next") as scene:
        yield scene.folder, scene.bus.address


def process(folder: Path, bus: str, seconds: float) -> dict[str, object]:
    with a_screen(folder) as shown:
        variables = {
            **os.environ,
            **shown,
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "DBUS_SESSION_BUS_ADDRESS": bus,
        }
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        began = time.monotonic()
        command = [sys.executable, "-c", CLOSED_FROM_OUTSIDE, "--no-icon", "--background"]
        tray = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, text=True)
        try:
            until(has_name, "the tray is on the bus")
            found: dict[str, object] = {"seconds_to_start": round(time.monotonic() - began, 2)}
            found["screen"] = shown["QT_QPA_PLATFORM"]
            time.sleep(3.0)
            found["before_a_window"] = memory(tray.pid)
            found["woken_before_a_window"] = watch(tray.pid, seconds)
            again = [sys.executable, "-m", "postroad_tray"]  # whose window is the first one's
            subprocess.run(again, env=variables, check=True, timeout=60)
            time.sleep(3.0)
            found["window_open"] = memory(tray.pid)
            found["window_open_by_kind"] = by_kind(tray.pid)
            for looked_at in ("all_pages_looked_at", "all_pages_looked_at_twice"):
                for page in PAGES:
                    subprocess.run([*again, "--page", page], env=variables, check=True, timeout=60)
                    time.sleep(1.0)
                found[looked_at] = memory(tray.pid)
            assert tray.stdin is not None
            print("close", file=tray.stdin, flush=True)
            time.sleep(3.0)
            found["window_closed"] = memory(tray.pid)
            found["woken_after_a_window"] = watch(tray.pid, seconds)
            found["seconds_watched"] = seconds
            return found
        finally:
            tray.kill()
            tray.communicate()


def watch(pid: int, seconds: float) -> int:
    """How often its threads were woken meanwhile; one that ended, as Qt's do when nothing is left
    for them, was at least once."""
    before = woken(pid)
    time.sleep(seconds)
    after = woken(pid)
    ended = len(before.keys() - after.keys())
    return ended + sum(count - before.get(thread, 0) for thread, count in after.items())


def main() -> None:
    results.must_be_alone()
    rounds = int(sys.argv[1]) if sys.argv[1:] else 9
    seconds = float(sys.argv[2]) if sys.argv[2:] else 60.0
    if shutil.which("dbus-daemon") is None:
        sys.exit("The tray is measured on a bus. Type: sudo apt-get install -y dbus")
    figure: dict[str, object] = {}
    with a_node() as place:
        figure["process"] = process(*place, seconds)
    with a_crowd() as place:
        figure["process_in_a_crowd"] = process(*place, seconds)
    figure["pages"] = pages(rounds)
    figure["bounds"] = {
        "open_ms": OPEN_MILLISECONDS_MAX,
        "longest_turn_ms": TURN_MILLISECONDS_MAX,
        "resident_mb": RESIDENT_MB_MAX,
        "woken": 0,
    }
    results.write("tray", figure, rounds)


if __name__ == "__main__":
    main()
