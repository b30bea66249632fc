"""What the tray has no use for is not loaded and not kept; all else goes on as before."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from postroad_tray import lean

ROOT = Path(__file__).resolve().parents[2]


def told_by(script: str) -> str:
    """What a program of its own says, with the tray's modules and nothing loaded yet."""
    folders = os.pathsep.join(str(ROOT / one) for one in ("service", "tray", "tests"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": folders, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_messages_are_written_without_the_rest_of_their_library() -> None:
    found = told_by("""
import sys
from postroad_tray import calls, library
octets = library.kit(library.Library.NEXT).write(1, calls.to_the_bus("Hello"))
assert b"Hello" in octets
print(*sorted(sys.modules))
""")
    loaded = {one.partition(".")[0] for one in found.split()}
    assert not loaded & {"gi", "xml"}
    assert {one for one in found.split() if one.startswith("dbus_next")} <= {
        "dbus_next._private",
        "dbus_next._private.constants",
        "dbus_next._private.marshaller",
        "dbus_next.constants",
        "dbus_next.errors",
        "dbus_next.message",
        "dbus_next.signature",
        "dbus_next.validators",
    }


def test_whoever_wants_the_whole_library_after_us_has_it_with_the_same_messages() -> None:
    assert told_by("""
from postroad_tray import library
kit = library.kit(library.Library.NEXT)
import dbus_next.aio
print(kit.message is dbus_next.Message and dbus_next.aio.MessageBus is not None)
""") == "True\n"  # fmt: skip


def test_whoever_had_the_whole_library_before_us_keeps_it() -> None:
    assert told_by("""
import dbus_next, sys
from postroad_tray import library
kit = library.kit(library.Library.NEXT)
print(kit.message is dbus_next.Message and sys.modules["dbus_next"] is dbus_next)
""") == "True\n"  # fmt: skip


def test_a_package_that_is_not_there_is_missed_as_ever() -> None:
    with pytest.raises(ImportError), lean.parts_of("postroad_of_nowhere"):
        import postroad_of_nowhere.errors  # type: ignore[import-not-found]  # noqa: F401


def test_no_source_of_ours_is_kept_however_many_pages_are_looked_at(qt: object) -> None:
    found = told_by("""
import linecache
from postroad_tray import lean
lean.without_tls()
lean.without_sources()
from PySide6.QtWidgets import QApplication
from postroad_tray import qt_program
from postroad_tray.trails import Trails
from postroad_tray.window import open_window
from postroad_tray.window.contents import contents
from tray import pictures
from tray.standing_in import StandIn
application = QApplication([])
client = StandIn(pictures.crowded())
frame = open_window(client)
names = [one.name for one in contents(client, Trails())]
for name in names:
    frame.turn_to(name)
    application.processEvents()
    assert frame.page is not None or not frame.page_name == name
print(*[one for one in linecache.cache if "postroad_tray" in one])
""")
    assert found == "\n"


def test_what_is_loaded_is_no_more_walked_over_and_what_comes_after_still_goes() -> None:
    found = told_by("""
import gc, weakref
from postroad_tray import lean, program
lean.freeze()
walked_over = len(gc.get_objects())

class Page:
    pass

page = Page()
page.itself = page
seen = weakref.ref(page)
del page
gc.collect()
print(gc.get_freeze_count() > 9 * walked_over, seen())
""")
    assert found == "True None\n"


KILOBYTES = """
import re

def kilobytes():
    total = is_one = 0
    for line in open("/proc/self/smaps"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_one = re.search(r" r-[-x]p .*/lib[^/]*\\.so[^/]*$", line) is not None
        elif is_one and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total
"""


def test_what_was_linked_and_run_is_given_back_and_all_goes_on(qt: object) -> None:
    found = told_by(KILOBYTES + """
from PySide6.QtWidgets import QApplication, QLabel
from postroad_tray import lean
application = QApplication([])
before = kilobytes()
lean.give_back_libraries()
after = kilobytes()
label = QLabel("all goes on")  # and asks for symbols that nobody has asked for yet
label.show()
application.processEvents()
assert label.grab().width() > 0
import decimal, sqlite3  # libraries are loaded as ever
print(before, after)
""")  # fmt: skip
    before, after = map(int, found.split())
    assert after * 5 < before > 4000


def test_what_a_page_had_linked_is_given_back_while_it_is_seen_and_when_it_is_closed(
    qt: object,
) -> None:
    found = told_by(KILOBYTES + """
import time
from PySide6.QtWidgets import QApplication
from postroad_tray.window import open_window
from tray import pictures
from tray.standing_in import StandIn
application = QApplication([])
frame = open_window(StandIn(pictures.crowded()))
application.processEvents()
before = kilobytes()
ends = time.monotonic() + 20
while kilobytes() * 5 > before and time.monotonic() < ends:
    application.processEvents()
    time.sleep(0.05)
after = kilobytes()
frame.come("peers")
application.processEvents()
assert frame.page_name == "peers" and frame.isVisible()
frame.close()
print(before, after, kilobytes())
""")  # fmt: skip
    before, while_seen, closed = map(int, found.split())
    assert while_seen * 5 < before > 4000
    assert closed * 2 < before  # some has run since, to ask


def test_nothing_but_parts_of_libraries_that_nobody_ever_wrote_to_is_given_back() -> None:
    told = Path("/proc/self/smaps").read_bytes()
    found = lean.unchanged(told.splitlines())
    assert len(found) > 5
    for begin, end in found:
        part = told[told.index(f"{begin:x}-{end:x} ".encode()) :]
        assert re.match(rb"\S+ r-[-x]p .*/\S+\.so", part), part
        assert b" ac " not in part[part.index(b"VmFlags:") :].splitlines()[0], part
    libc = re.findall(rb"(?m)^(\w+)-\w+ r--p .*/libc\.so\.6$(?s:.*?)^VmFlags:(.*)$", told)
    changed = {int(begin, 16) for begin, flags in libc if b" ac " in flags}
    assert changed  # its vtables and the like, which the linker has laid before they were protected
    assert not changed & {begin for begin, _ in found}


PART = b"""\
7f0000000000-7f0000004000 r--p 001cf000 fe:00 339900 /usr/lib/x86_64-linux-gnu/lib\xf6c.so.6
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me
"""


@pytest.mark.parametrize(
    ("as_it_is", "otherwise", "is_given_back"),
    [
        (b"", b"", True),
        (b"Anonymous:             0", b"Anonymous:             4", False),
        (b"Swap:                  0", b"Swap:                  4", False),
        (b"rd mr mw me", b"rd mr mw me ac", False),
        (b"r--p", b"r-xp", True),
        (b"r--p", b"rw-p", False),
        (b"r--p", b"r--s", False),
        (b".so.6", b".ttf", False),
    ],
)
def test_what_was_changed_stays_also_where_it_is_in_swap(
    as_it_is: bytes, otherwise: bytes, is_given_back: bool
) -> None:
    told = PART.replace(as_it_is, otherwise, 1) if as_it_is else PART
    assert lean.unchanged(told.splitlines(keepends=True)) == (
        [(0x7F0000000000, 0x7F0000004000)] if is_given_back else []
    )


def test_what_the_linker_has_changed_in_it_stays(tmp_path: Path) -> None:
    """Small libraries, as Mesa's libxshmfence, have one part for all that cannot be written."""
    library = tmp_path / "small.so.1"
    library.write_bytes(b"as it lies on the disk".ljust(mmap.PAGESIZE, b"\0"))
    with library.open("r+b") as file:
        part = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    part[:5] = b"moved"
    at = ctypes.addressof(ctypes.c_char.from_buffer(part))
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert protect(at, mmap.PAGESIZE, mmap.PROT_READ) == 0
    assert f"{at:x}-" in Path("/proc/self/maps").read_text()
    lean.give_back_libraries()
    assert part[:8] == b"moved li"
