"""Whether the tray starts at login: the user's word beside the system's."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroad_tray.autostart import COMMAND, NAME, Autostart

ENTRY = f"[Desktop Entry]\nType=Application\nName=Postroad\nExec={COMMAND}\n"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "system/autostart").mkdir(parents=True)
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": f"/nowhere:{tmp_path / 'system'}"}


def ours(variables: dict[str, str]) -> Path:
    return Path(variables["HOME"], ".config/autostart", NAME)


@pytest.fixture
def packaged(variables: dict[str, str], tmp_path: Path) -> Path:
    file = tmp_path / "system/autostart" / NAME
    file.write_text(ENTRY)
    return file


def test_where_no_package_starts_it_the_user_can(variables: dict[str, str]) -> None:
    autostart = Autostart(variables)
    assert not autostart.is_on()
    assert autostart.turn(True)
    assert autostart.is_on()
    text = ours(variables).read_text()
    assert text.startswith("[Desktop Entry]\n")
    assert f"\nExec={COMMAND}\n" in text
    assert autostart.turn(False)
    assert not ours(variables).exists()


def test_what_the_package_starts_is_overruled_and_not_changed(
    variables: dict[str, str], packaged: Path
) -> None:
    autostart = Autostart(variables)
    assert autostart.is_on()
    assert autostart.turn(False)
    assert not autostart.is_on()
    assert packaged.read_text() == ENTRY
    assert autostart.turn(True)
    assert autostart.is_on()
    assert not ours(variables).exists()


def test_an_entry_that_the_system_hides_is_off(variables: dict[str, str], packaged: Path) -> None:
    packaged.write_text(ENTRY + "Hidden=true\n")
    autostart = Autostart(variables)
    assert not autostart.is_on()
    assert autostart.turn(True)
    assert autostart.is_on()


def test_a_folder_that_cannot_be_written_is_said(variables: dict[str, str]) -> None:
    Path(variables["HOME"]).write_text("a file")
    assert not Autostart(variables).turn(True)


@pytest.mark.parametrize("text", ["", "\0\xff", "Hidden", "=\n=", "Hidden=\n"])
def test_whatever_stands_in_the_file_can_be_read(variables: dict[str, str], text: str) -> None:
    ours(variables).parent.mkdir(parents=True)
    ours(variables).write_text(text)
    assert Autostart(variables).is_on()
