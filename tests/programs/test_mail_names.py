"""With the files of `postroad mail-client` no program asks for this computer's name, or tells it.

The programs run in a namespace where the computer has a telling name and a name server hears every
question and answers none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from needed import skip_without
from postroad.app.mail_clients import CLIENTS, Account
from programs.terminal import SECONDS_MAX

INSIDE = Path(__file__).parent / "inside" / "name_server.py"
ADDRESS = "anna.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt"
COMPUTER = "annas-own-laptop"
ASIDE = ("unshare", "--user", "--map-root-user", "--mount", "--uts", "--net", "--")
LETTER = f"From: {ADDRESS}\nSubject: Lunch?\n\nAt one?\n"
COMMANDS = {
    "mutt": (["mutt", "-n", "-F", "{}", "-e", "set copy=no", "-s", "Lunch?", ADDRESS], "At one?\n"),
    "msmtp": (["msmtp", "-C", "{}", ADDRESS], LETTER),
}
pytestmark = [
    pytest.mark.program,
    pytest.mark.skipif(
        subprocess.run([*ASIDE, "true"], capture_output=True, check=False).returncode != 0,
        reason="needs user namespaces",
    ),
]


def seen(program: str, file: Path, folder: Path) -> dict[str, list[str]]:
    """What a server of mail and one of names hear of the program with this file."""
    command, stdin = COMMANDS[program]
    words = [word.format(file) for word in command]
    asked = {"command": words, "stdin": stdin, "hostname": COMPUTER, "folder": str(folder)}
    done = subprocess.run(
        [*ASIDE, sys.executable, INSIDE, json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, list[str]] = json.loads(done.stdout)
    return told


def written(program: str, folder: Path, without: tuple[str, ...] = ()) -> Path:
    """The file of the program, without those of its lines that begin so."""
    made = CLIENTS[program].file
    assert made is not None
    (folder / "password").write_text("secret\n")
    account = Account(ADDRESS, "anna", 10143, 10587, None, folder / "password")
    lines = made(account).splitlines()
    kept = [line for line in lines if not line.startswith(without)]
    assert len(kept) == len(lines) - len(without)
    path = folder / "settings"
    path.write_text("\n".join([*kept, ""]))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("program", list(COMMANDS))
def test_nobody_hears_how_the_computer_is_called(program: str, tmp_path: Path) -> None:
    skip_without(program)
    told = seen(program, written(program, tmp_path), tmp_path)
    assert told["names"] == []
    assert told["said"][0].split()[0] in ("EHLO", "HELO")
    assert told["said"][0].split()[1] in ("localhost", "postroad.alt")
    assert [line for line in told["said"] if COMPUTER in line.lower()] == []
    message_ids = [line for line in told["said"] if line.lower().startswith("message-id:")]
    assert all(line.endswith("@postroad.alt>") for line in message_ids)
    assert len(message_ids) == (program == "mutt")  # of msmtp's letters the node makes one


@pytest.mark.parametrize(
    ("program", "lines"), [("mutt", ("set hostname",)), ("msmtp", ("set_msgid_header",))]
)
def test_without_our_lines_it_would_be_asked_for(
    program: str, lines: tuple[str, ...], tmp_path: Path
) -> None:
    skip_without(program)
    told = seen(program, written(program, tmp_path, lines), tmp_path)
    assert COMPUTER in told["names"]
