"""The package of the tray: what it carries, and what desktops read of it."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dev import QT_PACKAGES, has_qt
from needed import skip_without
from postroad_tray import autostart, program
from postroad_tray.state import APPLICATION

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = ROOT / "packaging" / "desktop"
PYTHON = "/usr/bin/python3"  # the distribution's, as in the first line of the program
PACKAGE_BYTES_MAX = 30_000_000
INSTALLED_BYTES_MAX = 110_000_000
SITES = ("usr/lib/postroad-tray/site", "usr/lib/postroad/site")
PLACES = (
    f"/etc/xdg/autostart/{APPLICATION}.desktop",
    "/usr/bin/postroad-tray",
    "/usr/lib/postroad-tray/site/",
    f"/usr/share/applications/{APPLICATION}.desktop",
    "/usr/share/doc/postroad-tray/",
    f"/usr/share/icons/hicolor/scalable/apps/{APPLICATION}.svg",
    f"/usr/share/icons/hicolor/scalable/status/{APPLICATION}-",
    f"/usr/share/icons/hicolor/symbolic/apps/{APPLICATION}-",
    "/usr/share/lintian/overrides/postroad-tray",
    "/usr/share/man/man1/postroad-tray.1.gz",
    f"/usr/share/metainfo/{APPLICATION}.metainfo.xml",
    "/usr/share/python3/runtime.d/postroad-tray.rtupdate",
)


def files(unpacked: Path) -> list[Path]:
    return [path for path in unpacked.rglob("*") if not path.is_dir()]


def test_nothing_lies_outside_of_its_places(unpacked_tray: Path) -> None:
    found = ["/" + str(path.relative_to(unpacked_tray)) for path in files(unpacked_tray)]
    assert [path for path in found if not path.startswith(PLACES)] == []
    assert [one for one in PLACES if not any(path.startswith(one) for path in found)] == []


def test_it_is_small_enough(tray: Path, unpacked_tray: Path) -> None:
    installed = sum(path.lstat().st_size for path in files(unpacked_tray))
    print(f"tray: {tray.stat().st_size / 1e6:.1f} MB, installed: {installed / 1e6:.1f} MB")
    assert tray.stat().st_size <= PACKAGE_BYTES_MAX
    assert installed <= INSTALLED_BYTES_MAX


def test_both_packages_share_no_file(unpacked: Path, unpacked_tray: Path) -> None:
    ours, theirs = (
        {str(path.relative_to(one)) for path in files(one)} for one in (unpacked, unpacked_tray)
    )
    assert ours & theirs == set()


def test_the_program_runs_from_both_packages_and_the_systems_python(
    unpacked: Path, unpacked_tray: Path
) -> None:
    """All modules that need no Qt and no GTK, and those with Qt where its libraries are."""
    script = """
import importlib, pkgutil, sys
sites = sys.argv[1:3]
sys.path[:0] = sites
import postroad_tray
for one in pkgutil.walk_packages(postroad_tray.__path__, "postroad_tray."):
    if one.name.endswith("__main__") or (sys.argv[3] == "no" and needs_qt(one.name)):
        continue
    importlib.import_module(one.name)
own = [m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)]
# What shiboken brings along inside of its library has a path that begins nowhere.
theirs = (*sites, "/usr/lib/python3")
print(*(path for path in own if path[0] == "/" and not path.startswith(theirs)))
"""
    needing = f"def needs_qt(name): return name in {sorted(importing_qt())!r}\n"
    sites = [str(unpacked_tray / SITES[0]), str(unpacked / SITES[1])]
    done = subprocess.run(
        [PYTHON, "-B", "-Is", "-c", needing + script, *sites, "yes" if has_qt() else "no"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def importing_qt() -> set[str]:
    """Modules of the tray that cannot be loaded without Qt."""
    return {
        "postroad_tray." + str(path.relative_to(ROOT / "tray" / "postroad_tray"))
        .removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for path in (ROOT / "tray").rglob("*.py")
        if "window" in path.parts or path.stem.startswith("qt_")
    }  # fmt: skip


def test_each_module_of_qt_that_the_tray_imports_is_in_the_package(unpacked_tray: Path) -> None:
    wanted = set()
    for path in (ROOT / "tray").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PySide6."):
                wanted.add(str(node.module).split(".")[1])
    site = unpacked_tray / SITES[0] / "PySide6"
    carried = {path.name.partition(".")[0] for path in site.glob("Qt*.abi3.so")}
    assert carried == wanted


def test_a_window_is_drawn_with_what_the_package_carries(
    unpacked: Path, unpacked_tray: Path
) -> None:
    if not has_qt():
        pytest.skip(f"needs the Debian packages: {' '.join(QT_PACKAGES)}")
    script = """
import sys
sys.path[:0] = sys.argv[1:3]
import PySide6
from PySide6.QtWidgets import QApplication
from postroad_tray.icon_files import icon_path
from PySide6.QtGui import QIcon
from PySide6.QtCore import QTranslator, QLibraryInfo
application = QApplication(["postroad-tray"])
assert not QIcon(str(icon_path("org.postroad.Postroad"))).pixmap(64, 64).isNull()
words = QTranslator()
assert words.load("qtbase_de", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))
print(PySide6.__file__, words.translate("QPlatformTheme", "Cancel"))
"""
    sites = [str(unpacked_tray / SITES[0]), str(unpacked / SITES[1])]
    done = subprocess.run(
        [PYTHON, "-B", "-Is", "-c", script, *sites],
        env={"PATH": os.environ["PATH"], "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{sites[0]}/PySide6/__init__.py", "Abbrechen"]


def test_the_bill_of_materials_is_of_the_tray(unpacked_tray: Path) -> None:
    bill = unpacked_tray / "usr/share/doc/postroad-tray/postroad-tray.cdx.json"
    told = json.loads(bill.read_text("utf-8"))
    assert told["metadata"]["component"]["name"] == "postroad-tray"
    names = {one["name"] for one in told["components"]}
    assert {"pyside6-essentials", "pystray", "shiboken6", "six", "qt", "icu"} <= names


# --- what desktops read ---------------------------------------------------------------------------


def entry(name: str) -> configparser.SectionProxy:
    read = configparser.ConfigParser(interpolation=None, strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string((DESKTOP / name).read_text("utf-8"))
    return read["Desktop Entry"]


def test_the_entry_of_the_menu_and_that_of_the_login_start_the_program() -> None:
    in_menu, at_login = entry(f"{APPLICATION}.desktop"), entry("autostart.desktop")
    assert in_menu["Exec"] == program.PROGRAM
    assert at_login["Exec"] == autostart.COMMAND
    for one in (in_menu, at_login):
        assert one["Icon"] == APPLICATION
    assert program._parsed(at_login["Exec"].split()[1:]).in_background
    assert not program._parsed(in_menu["Exec"].split()[1:]).in_background


def test_at_login_it_is_on_until_somebody_turns_it_off(tmp_path: Path) -> None:
    """By the switch in the menu, which overrules what the package brings for everybody."""
    brought = tmp_path / "xdg" / "autostart"
    brought.mkdir(parents=True)
    shutil.copy(DESKTOP / "autostart.desktop", brought / autostart.NAME)
    mine = autostart.Autostart({"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")})
    assert mine.is_on()
    assert mine.turn(False)
    assert not mine.is_on()
    assert mine.turn(True)
    assert not list((tmp_path / ".config").rglob("*.desktop"))


@pytest.mark.parametrize("name", [f"{APPLICATION}.desktop", "autostart.desktop"])
def test_the_entries_keep_to_the_specification(name: str) -> None:
    check("desktop-file-validate", str(DESKTOP / name))


def test_what_software_centres_read_is_valid(unpacked_tray: Path) -> None:
    place = unpacked_tray / "usr/share/metainfo" / f"{APPLICATION}.metainfo.xml"
    said = check("appstreamcli", "validate", "--no-net", str(place))
    left = set(re.findall(r"^[IWE]: \S+ ([a-z-]+)", said, re.MULTILINE))
    # There is no homepage yet, and Debian 12's program does not know `developer`, which it wants to
    # be called so from Debian 13 on.
    assert left <= {"url-homepage-missing", "unknown-tag"}


def check(*command: str) -> str:
    skip_without(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_metadata_is_of_this_version_and_names_what_is_there() -> None:
    told = ElementTree.parse(DESKTOP / f"{APPLICATION}.metainfo.xml").getroot()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told.findtext("id") == APPLICATION
    assert told.findtext("launchable") == f"{APPLICATION}.desktop"
    assert told.findtext("project_license") == project["license"]
    release = told.find("releases/release")
    assert release is not None
    assert release.get("version") == project["version"]


def test_the_manual_page_has_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program._parsed(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    page = (DESKTOP / "postroad-tray.1").read_text().replace("\\", "")
    assert set(re.findall(r"--[a-z-]+", page)) == options
