"""The settings of mail programs, as `postroad doctor` reads them: with the line of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.app.mail_clients import CLIENTS, Account
from postroad.app.mail_settings import IMAP, PROGRAMS, SMTP, mbsync, msmtp, mutt, thunderbird, wrong

ADDRESS = "anna.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt"
PORTS = {SMTP: 10588, IMAP: 10144}
READERS = {"mutt": mutt, "mbsync": mbsync, "msmtp": msmtp}
PREFS = f"""\
// Mozilla User Preferences
user_pref("mail.server.server1.hostname", "imap.example.org");
user_pref("mail.server.server1.userName", "somebody@example.org");
user_pref("mail.server.server1.port", 993);
user_pref("mail.server.server1.type", "imap");
user_pref("mail.server.server2.hostname", "127.0.0.1");
user_pref("mail.server.server2.port", 10143);
user_pref("mail.server.server2.type", "imap");
user_pref("mail.server.server2.userName", "{ADDRESS}");
user_pref("mail.server.server3.hostname", "Local Folders");
user_pref("mail.server.server3.type", "none");
user_pref("mail.smtpserver.smtp1.hostname", "127.0.0.1");
user_pref("mail.smtpserver.smtp1.port", 10588);
user_pref("mail.smtpserver.smtp1.username", "anna.old@postroad.alt");
"""


@pytest.mark.parametrize("program", list(READERS))
def test_the_files_that_we_write_agree_with_the_node(program: str) -> None:
    made = CLIENTS[program].file
    assert made is not None
    text = made(Account(ADDRESS, "anna", PORTS[IMAP], PORTS[SMTP], None, Path("/x")))
    found = [one for one in READERS[program](text) if one.is_for(PORTS.values())]
    assert found
    assert not list(wrong(program, "f", found, PORTS, {ADDRESS}))
    later = {SMTP: 1, IMAP: 2}
    told = list(wrong(program, "f", found, later, {"bora@x"}))
    assert {one.what for one in told} == {"port", "user name"}
    for one in told:
        assert one.found in text.splitlines()[one.line - 1].replace("%40", "@")


def test_thunderbird_is_told_each_value_with_its_line_and_others_accounts_are_not_ours() -> None:
    found = [one for one in thunderbird(PREFS) if one.is_for(PORTS.values())]
    assert [one.door for one in found] == [IMAP, SMTP]
    told = list(wrong("Thunderbird", "prefs.js", found, PORTS, {ADDRESS}))
    assert [(one.line, one.what, one.found) for one in told] == [
        (7, "port", "10143"),
        (14, "user name", "anna.old@postroad.alt"),
    ]
    assert "example.org" not in repr(told)


def test_who_logs_in_by_the_plain_name_is_right() -> None:
    (one,) = mutt("set smtp_url = 'smtp://anna@localhost:10588/'\n")
    assert one.is_for(PORTS.values())
    assert not list(wrong("mutt", "f", [one], PORTS, {ADDRESS, "anna"}))


@given(st.text(max_size=200))
def test_no_file_is_too_strange(text: str) -> None:
    for program in PROGRAMS:
        program.read(text)
        program.read(f"set folder=imap://{text}\nIMAPStore x\nPort {text}")
