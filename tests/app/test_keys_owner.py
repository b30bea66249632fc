"""A terminal that was left open is not the owner: what ends an identity, or hands it on, wants the
passphrase of the keys."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from app.test_keys import FIRST, SLOT, anna, answer, at_a_terminal, lines, start_locked
from person import Person
from postroad.app.asking import ask
from postroad.base.errors import PostroadError

__all__ = ["anna"]  # a fixture
LOST = "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"


@pytest.fixture
def wrapped(anna: Person) -> Person:
    """Anna's node, running, its keys opened by a passphrase."""
    anna.start()
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    return anna


def test_what_ends_an_identity_or_hands_it_on_wants_the_passphrase(
    wrapped: Person, tmp_path: Path
) -> None:
    page = tmp_path / "sheet.html"
    began = time.monotonic()
    for words in (
        ("identity", "sheet", str(page)),
        ("identity", "rotate"),
        ("devices", "revoke", LOST, "--yes"),
    ):
        refused = answer(wrapped, *words, stdin=lines("a wrong one"), code=1)["error"]
        assert refused == "That is not the passphrase of your keys."
        silent = answer(wrapped, *words, stdin="", code=1)["error"]
        assert "The passphrase of your keys is wanted on stdin" in silent
    # Whoever guesses at another command waits no less: 1, 2 and 4 seconds.
    assert time.monotonic() - began > 1 + 2 + 4
    assert not page.exists()
    assert answer(wrapped, "identity")["address"] == wrapped.address
    assert len(answer(wrapped, "devices")["devices"]) == 1

    answer(wrapped, "identity", "sheet", str(page), stdin=lines(FIRST))
    assert "postroad revoke --from-sheet" in page.read_text()
    revoked = answer(wrapped, "devices", "revoke", LOST, "--yes", stdin=lines(FIRST))
    assert revoked["id"] == LOST[:8]
    begun = answer(wrapped, "identity", "rotate", stdin=lines(FIRST))
    words = begun["words"].split()
    asked = " ".join(words[number - 1] for number in begun["asked"])
    done = answer(wrapped, "identity", "rotate", "--finish", stdin=lines(asked))
    assert done["address"] == begun["new_address"]


def test_it_is_asked_for_at_a_terminal_and_said_before_the_words_on_stdin(wrapped: Person) -> None:
    seen = at_a_terminal(wrapped, "devices", "revoke", LOST, "--yes", typing=lines(FIRST))
    assert "The passphrase of your keys: " in seen
    assert FIRST not in seen
    assert f"{LOST[:8]} is revoked" in seen
    shown = wrapped.type("identity", "rotate", stdin=lines(FIRST, "not these"))
    assert "Your new 24 words" in shown.stdout
    assert "Nothing was changed; look at your paper" in shown.stderr


def test_whoever_asks_the_node_itself_is_refused_as_well(wrapped: Person) -> None:
    control = wrapped.folder / "run" / "control"
    for do in ("sheet", "rotate begin"):
        with pytest.raises(PostroadError, match="not the passphrase"):
            ask(control, do=do)


def test_a_locked_node_asks_for_nothing_but_to_be_unlocked(anna: Person, tmp_path: Path) -> None:
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    start_locked(anna)
    done = anna.type("identity", "sheet", str(tmp_path / "sheet.html"), "--json")
    assert done.returncode == 5
    assert "postroad unlock" in json.loads(done.stdout)["error"]


def test_without_a_passphrase_nobody_is_asked(tmp_path: Path, quiet_network: None) -> None:
    bora = Person("bora", tmp_path, SLOT + 1, link="tls")
    bora.set_up()
    try:
        bora.start()
        answer(bora, "identity", "sheet", str(tmp_path / "sheet.html"))
        answer(bora, "identity", "rotate")
    finally:
        bora.kill()
