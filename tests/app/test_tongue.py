"""The command line in German: what commands say of themselves, and nothing that a program reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import catalogues
from person import surroundings


def typed(folder: Path, *words: str, language: str = "de") -> str:
    """What is answered to whoever has that language."""
    catalogues.compile_into(folder / "locale")
    ours = surroundings() | {
        "HOME": str(folder),
        "LANGUAGE": language,
        "POSTROAD_CATALOGUES": str(folder / "locale"),
    }
    command = [sys.executable, "-m", "postroad", *words]
    done = subprocess.run(command, env=ours, capture_output=True, text=True, check=False)
    return done.stdout


def test_help_is_in_the_language_of_whoever_asks(tmp_path: Path) -> None:
    listed = typed(tmp_path, "--help")
    assert "E-Mail ohne Mailserver." in listed
    assert "Menschen:" in listed
    assert "Versucht den Brief ID" in typed(tmp_path, "queue", "retry", "--help")
    assert "Try the letter ID" in typed(tmp_path, "queue", "retry", "--help", language="fr")


def test_what_programs_read_has_no_language(tmp_path: Path) -> None:
    german = typed(tmp_path, "queue", "--json")
    assert json.loads(german) == json.loads(typed(tmp_path, "queue", "--json", language="en"))
