"""The command line in German: what commands say of themselves, what they answer, and what a running
node calls wrong; nothing of it reaches a program that reads JSON."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import catalogues
from person import Person, ended, surroundings, until

SLOT = 70


def typed(folder: Path, *words: str, language: str = "de") -> str:
    """What is answered to whoever has that language, and what they are told beside it."""
    catalogues.compile_into(folder / "locale")
    ours = surroundings() | {
        "HOME": str(folder),
        "LANGUAGE": language,
        "POSTROAD_CATALOGUES": str(folder / "locale"),
    }
    command = [sys.executable, "-m", "postroad", *words]
    done = subprocess.run(
        command, env=ours, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_help_is_in_the_language_of_whoever_asks(tmp_path: Path) -> None:
    listed = typed(tmp_path, "--help")
    assert "E-Mail ohne Mailserver." in listed
    assert "Menschen:" in listed
    assert "Versucht den Brief ID" in typed(tmp_path, "queue", "retry", "--help")
    assert "Try the letter ID" in typed(tmp_path, "queue", "retry", "--help", language="fr")


def test_what_programs_read_has_no_language(tmp_path: Path) -> None:
    german = typed(tmp_path, "queue", "--json")
    assert json.loads(german) == json.loads(typed(tmp_path, "queue", "--json", language="en"))


def test_who_is_not_set_up_is_told_in_german_what_to_type(tmp_path: Path) -> None:
    told = typed(tmp_path, "queue")
    assert told.startswith("postroad: Sie sind noch nicht eingerichtet. Geben Sie ein: postroad ")


def test_setting_up_is_german_and_the_columns_line_up(tmp_path: Path) -> None:
    told = typed(tmp_path, "setup", "--name", "anna", "--no-service")
    assert "Ihre 24 Wörter. Schreiben Sie sie auf Papier" in told
    assert re.search(r"^   Benutzername   anna\.[a-z2-7]+@postroad\.alt$", told, re.MULTILINE), told
    assert re.search(r"^   Eingang        IMAP  127\.0\.0\.1  Port \d+$", told, re.MULTILINE)
    assert "Weiter: postroad run" in told
    off = typed(tmp_path, "status")
    assert off.startswith("Ihr Knoten ist aus: Kein Brief kommt oder geht.\n")
    assert "Ihr Knoten läuft nicht. So starten Sie ihn: postroad run" in off


@pytest.fixture
def anna(short_folder: Path) -> Iterator[Person]:
    one = Person("anna", short_folder, SLOT)
    one.set_up()
    with ended([one]):
        yield one


def test_what_is_wrong_with_a_running_node_is_read_in_german(anna: Person, tmp_path: Path) -> None:
    def asked(*words: str, language: str = "de") -> str:
        return typed(tmp_path, "--config", str(anna.config), *words, language=language)

    with socket.create_server(("127.0.0.1", anna.smtp_port)):
        anna.begin_start()
        until(lambda: anna.type("status").returncode == 0, "the node runs")
        told = asked("status")
        english = asked("status", language="en")
        problems = json.loads(asked("status", "--json"))["problems"]
        examined = asked("doctor")
        assert problems == anna.postroad("status")["problems"]  # English, to whom it may concern
    assert re.match("Ihr Knoten (ist offline: Briefe warten|läuft, aber nicht alles ist)", told)
    at = f"127.0.0.1:{anna.smtp_port}"
    assert (
        "X Der SMTP-Zugang ist zu: Ihr Mailprogramm kann nicht senden. smtp kann "
        f"{at} (TCP) nicht benutzen: Ein anderes Programm hat diesen Port; beenden Sie es, wenn "
        f"Sie können. Um einen anderen zu nehmen, ändern Sie smtp_port in {anna.config} und in "
        "Ihrem Mailprogramm.\n"
    ) in told
    assert "- Sie haben noch keine Kontakte" in told
    assert "Laden Sie jemanden ein: postroad invite" in told
    assert "X The SMTP door is shut: your mail program cannot send." in english
    assert "Der Knoten dort" not in english
    assert "Schreiben wir uns mit Postroad: E-Mail ohne Mailserver." in asked("invite")
    assert re.search(r"offen bis \d\d\.\d\d\.\d{4} \d\d:\d\d", asked("invitations"))
    assert re.search("hat kein Netz|kennt noch keinen anderen", asked("netcheck"))
    assert "+ node: Ihr Knoten läuft und antwortet.\n" in examined
    assert "X mail: Der SMTP-Zugang ist zu: Ihr Mailprogramm kann nicht senden." in examined
    assert "Was mit X markiert ist, ist kaputt. Beginnen Sie dort." in examined
    assert asked("contacts") == "Noch niemand. So machen Sie eine Einladung: postroad invite\n"
    assert asked("pause", "--for", "bald").startswith("postroad: 'bald' ist keine Zeit.")


def test_why_the_keys_are_locked_is_read_in_german(anna: Person, tmp_path: Path) -> None:
    protect = anna.type("keys", "protect", "--passphrase", stdin="a long passphrase\n" * 2)
    assert protect.returncode == 0, protect.stderr
    anna.begin_start()
    until(lambda: "locked now" in anna.type("keys").stdout, "the node says that it is locked")
    told = typed(tmp_path, "--config", str(anna.config), "keys")
    assert (
        "Sie sind jetzt gesperrt. Ihre Schlüssel warten auf ihre Passphrase. "
        "Geben Sie ein: postroad unlock\n"
    ) in told
