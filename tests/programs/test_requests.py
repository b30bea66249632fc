"""A stranger's letter, accepted by moving it to INBOX in the programs that people have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from app.test_requests import strangers
from needed import needs
from person import Person, knock, until
from programs import mutt, terminal
from programs.mbsync import Account

__all__ = ["strangers"]  # the fixture
pytestmark = pytest.mark.program


def accepted(anna: Person, bora: Person) -> None:
    until(lambda: anna.find("You and Bora"), "Anna is told")
    until(lambda: not bora.postroad("requests")["requests"], "no request waits")
    assert bora.find("first words") is not None
    assert bora.find("first words", "Requests") is None


@needs("mbsync")
def test_moved_in_a_maildir_and_synchronised_by_mbsync(
    strangers: list[Person], tmp_path: Path
) -> None:
    anna, bora = strangers
    knock(anna, bora, "first words")
    until(lambda: bora.find("first words", "Requests"), "the request is in Requests")
    account = Account(bora, tmp_path / "mbsync")
    account.set_up()
    account.sync()
    (there,) = [one for one in (account.maildir / "Requests").rglob("*") if "," in one.name]
    shutil.move(there, account.maildir / "INBOX" / "cur" / f"{there.name.partition(',')[0]}:2,S")
    account.sync()
    accepted(anna, bora)


@needs("mutt")
def test_saved_to_inbox_in_mutt(strangers: list[Person]) -> None:
    anna, bora = strangers
    knock(anna, bora, "first words")
    until(lambda: bora.find("first words", "Requests"), "the request is in Requests")
    at = f"imap://{quote(bora.address, safe='')}@127.0.0.1:{bora.imap_port}"
    terminal.run(
        [
            *mutt.START,
            *("-e", f"set imap_pass={bora.password} wait_key=no beep=no confirmappend=no"),
            *("-e", f"set folder={at}/ delete=yes quit=yes"),
            *(
                "-e",
                'push "<first-entry><save-message><kill-line>=INBOX<enter><sync-mailbox><quit>"',
            ),
            *("-f", f"{at}/Requests"),
        ],
        os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
    )
    accepted(anna, bora)
