"""The manual pages and the completions say what the command line is; real readers read them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import manuals
from needed import needs, skip_without
from person import ROOT, surroundings
from postroad.app.cli import main
from postroad.app.program import EXIT_CODES
from shells import SHELLS, Terminal, begun


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manuals")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "manuals.py"), str(folder)],
        env=surroundings(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_there_is_a_page_for_each_command_and_it_tells_all_of_it(written: Path) -> None:
    names = {path.name for path in (written / "man1").iterdir()}
    assert names == {"postroad.1", *(f"postroad-{name}.1" for name in main.commands)}
    page = (written / "man1" / "postroad-contacts.1").read_text()
    for said in (r"\-\-cancel\-letters", "POSTROAD CONTACTS RENAME", ".SH EXIT STATUS"):
        assert said in page
    assert r".BR postroad\-contacts (1)" in (written / "man1" / "postroad.1").read_text()


def test_the_page_of_the_command_line_says_what_it_is() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    again = "type: python3 tools/dev.py manuals, which writes docs/cli.md anew, too"
    assert manuals.with_reference(page) == page, again
    for said in ("### `postroad queue cancel ID`", "`problems[].next_step`", "--qr"):
        assert said in page
    codes = set(re.findall(r"^\| (\d) \|", page, re.MULTILINE))
    assert codes == {str(code) for code in EXIT_CODES}


@needs("groff")
def test_the_pages_are_read_without_a_warning(written: Path) -> None:
    for path in sorted((written / "man1").iterdir()):
        done = subprocess.run(
            ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", str(path)],
            capture_output=True,
            check=True,
        )
        assert done.stderr == b"", (path, done.stderr)
        shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout.decode())
        assert "NAME" in shown
        assert "\\" not in shown, path


@needs("man")
def test_man_shows_a_page(written: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-l", str(written / "man1" / "postroad-queue.1")],
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "postroad-queue" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes_commands_and_options(written: Path, tmp_path: Path, shell: str) -> None:
    skip_without(shell)
    begin = begun(shell, written / shell / manuals.COMPLETIONS[shell], tmp_path)
    with Terminal(shell, tmp_path) as terminal:
        terminal.type(begin)
        terminal.read_until("ready")
        terminal.type("postroad netch\t")
        terminal.read_until("netcheck ")
        terminal.type("--js\t")
        terminal.read_until("--json")
        terminal.type("\x15postroad contacts ex\t")
        terminal.read_until("export ")
