"""What the owner has chosen of the tray: where it is, and what counts where it cannot be read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from postroad_tray import folders
from postroad_tray.choices import Choices


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_names_are_shown_until_somebody_wants_none(variables: dict[str, str]) -> None:
    assert Choices(variables).shows_names()
    assert Choices(variables).show_names(False)
    assert not Choices(variables).shows_names()
    assert Choices(variables).show_names(True)
    assert Choices(variables).shows_names()


def test_the_folder_is_the_trays_own(variables: dict[str, str], tmp_path: Path) -> None:
    Choices(variables).show_names(False)
    folder = tmp_path / ".config" / "postroad-tray"
    assert [one.name for one in folder.iterdir()] == ["choices.json"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not (tmp_path / ".config" / "postroad").exists()


@pytest.mark.parametrize(
    "kept", ["", "[]", "{", "{}", '{"names_in_notifications": 1}', "[" * 100_000, "\0" * 400_000]
)
def test_where_a_choice_cannot_be_read_no_names_are_shown(
    variables: dict[str, str], tmp_path: Path, kept: str
) -> None:
    file = tmp_path / ".config" / "postroad-tray" / "choices.json"
    file.parent.mkdir(parents=True)
    file.write_text(kept)
    assert not Choices(variables).shows_names()
    assert Choices(variables).show_names(True)
    assert Choices(variables).shows_names()


def test_a_folder_that_cannot_be_written_is_told(
    variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".config").write_text("a file")
    assert not Choices(variables).show_names(False)


def test_the_homes_are_those_of_the_desktop() -> None:
    assert folders.configuration({"HOME": "/h"}) == Path("/h/.config")
    assert folders.configuration({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c")
    assert folders.state({"HOME": "/h"}) == Path("/h/.local/state")
