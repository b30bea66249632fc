"""`apt install ./postroad_*.deb ./postroad-tray_*.deb` on a desktop: it starts, it talks, it goes.

The system is one of its own, and gets of its distribution only what the package itself asks for,
until the program has been loaded; then a screen, and what looks at one.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import booted
import deb
from booted import Booted
from person import until
from postroad.contract import BUS_NAME
from postroad_tray import instance
from postroad_tray.state import APPLICATION
from roots import Unavailable
from system import desktops, journals
from system.conftest import PACKAGE, SUITE
from system.desktops import GnomeSession, Session, XSession
from system.packages import OLDER, other_version
from system.people import MAIL_PROGRAM, Resident, meet
from tray.hand import OPEN, QUIT

TRAY = deb.tray_beside(PACKAGE)
RESIDENT_BYTES_MAX = 70_000_000
SCREEN = f"DISPLAY={desktops.DISPLAY}"
HOSTS = (desktops.PANEL, *([desktops.SHELL] if SUITE == "trixie" else []))
QT = "import sys; sys.path[:0] = ['/usr/lib/postroad-tray/site']; import PySide6.QtWidgets"
NO_RECOMMENDS = "/etc/apt/apt.conf.d/99-of-this-test"
ENTRY = f"/etc/xdg/autostart/{APPLICATION}.desktop"


@pytest.fixture(scope="module")
def desk() -> Iterator[Booted]:
    if not TRAY.exists():
        pytest.skip("not for this processor: there is no package of the tray")
    try:
        with booted.booted(SUITE) as system:
            system.add(*needed())
            system.write(NO_RECOMMENDS, b'APT::Install-Recommends "false";\n')  # no network
            system.install(PACKAGE, TRAY)
            system.write(f"/opt/{MAIL_PROGRAM.name}", MAIL_PROGRAM.read_bytes())
            yield system
    except Unavailable as why:
        pytest.skip(str(why))


def needed() -> list[str]:
    """What the package wants of the distribution, by the names that it has for it."""
    asked = ["dpkg-deb", "--field", str(TRAY), "Depends"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    names = [re.split(r"[ |(]", one.strip())[0] for one in told.split(",")]
    return sorted({name for name in names if name != "postroad"})


@pytest.fixture(scope="module")
def olga(desk: Booted) -> Resident:
    person = Resident(desk, "alice")
    person.set_up()
    return person


def tray_process(desk: Booted) -> int:
    found = desk.root("pgrep", "-f", "^/usr/bin/python3 -Is /usr/bin/postroad-tray", check=False)
    return int((found.stdout.split() or ["0"])[0])


def test_no_library_is_missing_with_what_the_package_asks_for(desk: Booted) -> None:
    desk.user("alice", "env", "QT_QPA_PLATFORM=offscreen", "/usr/bin/python3", "-Is", "-c", QT)
    script = "find /usr/lib/postroad-tray -name '*.so*' | xargs ldd | grep 'not found' || true"
    assert desk.root("sh", "-c", script).stdout == ""


def test_it_tells_its_version(desk: Booted) -> None:
    assert desk.user("alice", "postroad-tray", "--version").stdout.startswith("postroad-tray ")


def test_nothing_of_the_user_gets_into_it(desk: Booted) -> None:
    script = """
        echo "raise SystemExit('a file of the user got into the program')" > argparse.py
        PYTHONPATH=$PWD PYTHONSTARTUP=$PWD/argparse.py postroad-tray --version
        rm argparse.py
    """
    assert desk.user("alice", "sh", "-c", script).stdout.startswith("postroad-tray ")


def test_without_gtk_the_light_icon_says_what_to_install(desk: Booted) -> None:
    done = desk.user("alice", "env", SCREEN, "postroad-tray", "--light", check=False)
    assert done.returncode == 1
    line = "sudo apt install python3-gi gir1.2-ayatanaappindicator3-0.1"
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_its_modules_are_compiled_already(desk: Booted) -> None:
    script = "find /usr/lib/postroad-tray -name '*.$0' | wc -l"
    found = [int(desk.root("sh", "-c", script.replace("$0", one)).stdout) for one in ("py", "pyc")]
    assert found[0] == found[1] > 30


@pytest.fixture(scope="module")
def screen(desk: Booted, olga: Resident, tmp_path_factory: pytest.TempPathFactory) -> XSession:
    desk.add(*desktops.OF_X)
    found = XSession(olga, tmp_path_factory.mktemp("screen"))
    found.start()
    return found


def test_it_starts_on_a_screen_silently_and_shows_its_window_when_asked(
    desk: Booted, olga: Resident, screen: XSession
) -> None:
    screen.begin_tray()
    until(lambda: tray_process(desk) and has_name(olga), "the tray is on the bus")
    assert screen.windows() == []
    olga.type("env", SCREEN, "postroad-tray")  # as from the menu of a desktop
    screen.wait_for_window()
    assert asks_the_service(olga)
    screen.close_window()
    process = tray_process(desk)
    assert process
    told = desk.root("cat", f"/proc/{process}/smaps_rollup").stdout
    resident, share = (
        int(size) * 1024 for size in re.findall(r"^(?:Rss|Pss): +(\d+) kB", told, re.MULTILINE)
    )
    print(f"{SUITE}: {resident / 1e6:.1f} MB resident, {share / 1e6:.1f} MB its share of them")
    assert resident <= RESIDENT_BYTES_MAX


def has_name(person: Resident) -> bool:
    told = person.type("busctl", "--user", "list", "--acquired", "--no-legend").stdout
    return f"{instance.NAME} " in told


def asks_the_service(person: Resident) -> bool:
    """While its window is open it asks again and again."""
    watching = ("timeout", "4", "busctl", "--user", "monitor", BUS_NAME)
    return "Type=method_call" in person.type(*watching, check=False).stdout


@pytest.mark.parametrize("host", HOSTS)
def test_its_icon_is_on_the_desktop_and_does_what_it_is_clicked_for(
    desk: Booted, olga: Resident, screen: XSession, host: str, tmp_path: Path
) -> None:
    if not olga.postroad("contacts")["contacts"]:
        bora = Resident(desk, "bora")
        bora.set_up()
        meet(olga, bora)
    place: Session = screen
    if host == desktops.SHELL:
        desk.add(*desktops.OF_SHELL)
        desk.root("systemctl", "reload", "dbus")  # it was there before those whom it is to start
        place = GnomeSession(olga, tmp_path)
    place.begin_host(host)
    if not tray_process(desk):
        place.begin_tray()
    until(lambda: has_name(olga), "the tray is on the bus")
    place.show_icons()
    place.wait_for_icon_to_stand()
    if host == desktops.SHELL:  # whose panel has one colour
        assert icon_name(olga).endswith("-symbolic")
    place.activate()
    place.wait_for_window()
    place.close_window()
    place.open_menu()
    place.choose(OPEN)
    place.wait_for_window()
    place.close_window()
    place.open_menu()
    place.choose(QUIT)
    until(lambda: tray_process(desk) == 0, "the tray ends")
    place.wait_for_icon(there=False)
    place.end_host(host)
    assert olga.shown("ActiveState") == "active"  # mail stays with the service


def icon_name(person: Resident) -> str:
    """As whatever shows icons is told it."""
    asked = ("busctl", "--user", "--json=short", "get-property")
    watcher = ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher")
    told = person.type(*asked, *watcher, watcher[0], "RegisteredStatusNotifierItems").stdout
    (item,) = json.loads(told)["data"]
    owner, path = item.replace("@", "").split("/", 1)
    told = person.type(*asked, owner, f"/{path}", "org.kde.StatusNotifierItem", "IconName").stdout
    return str(json.loads(told)["data"])


def test_an_upgrade_brings_both(desk: Booted, tmp_path: Path) -> None:
    older = other_version(PACKAGE, OLDER, tmp_path)
    desk.install(older, older_tray(tmp_path))
    shown = ("dpkg-query", "--show", "--showformat", "${Version} ", "postroad", "postroad-tray")
    assert desk.root(*shown).stdout.split() == [OLDER, OLDER]
    desk.install(PACKAGE, TRAY)
    first, second = desk.root(*shown).stdout.split()
    assert first == second != OLDER
    assert desk.user("alice", "postroad-tray", "--version").stdout.split()[1] == first


def older_tray(folder: Path) -> Path:
    raw, made = folder / "raw", folder / f"postroad-tray_{OLDER}_other.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", str(TRAY), str(raw)], check=True)
    control = raw / "DEBIAN" / "control"
    version = f"Version: {OLDER}"
    text = re.sub(r"^Version: .*$", version, control.read_text(), flags=re.MULTILINE)
    control.write_text(re.sub(r"postroad \(= [^)]*\)", f"postroad (= {OLDER})", text))
    pack = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(raw), str(made)]
    subprocess.run(pack, stdout=subprocess.DEVNULL, check=True)
    return made


def test_a_removal_ends_it_and_a_purge_leaves_nothing(
    desk: Booted, olga: Resident, screen: XSession
) -> None:
    screen.begin_tray()
    until(lambda: tray_process(desk) and has_name(olga), "the tray runs")
    desk.apt("remove", "postroad-tray")
    until(lambda: tray_process(desk) == 0, "the tray has ended")
    assert left(desk) == [ENTRY]  # whoever has changed it finds it again
    desk.apt("purge", "postroad-tray")
    assert left(desk) == []
    assert olga.shown("ActiveState") == "active"  # mail stays with the service


def left(desk: Booted) -> list[str]:
    own = (APPLICATION + ".*", APPLICATION + "-*")
    names = " -o ".join(f"-iname '{one}'" for one in ("*postroad-tray*", *own))
    search = f"find /etc /usr /var/lib -xdev {names} | grep -vE '^/var/lib/(apt|dpkg)' || true"
    return desk.root("sh", "-c", search).stdout.split()


def test_its_journal_has_no_traceback(desk: Booted) -> None:
    assert journals.tracebacks(desk) == []
