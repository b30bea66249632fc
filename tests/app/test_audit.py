"""`postroad audit` and `audit verify`: over the control socket, and while no node runs."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fakes import NOW, opened_store, with_database
from postroad.app import cli
from postroad.base.ids import Instant
from postroad.doors.audit import AuditDesk
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.store import audit
from postroad.store.database import Database

SERVICE = Path(__file__).resolve().parents[2] / "service"


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Somebody who is set up, and whose node does not run."""
    folder = Path(tempfile.mkdtemp(prefix="pr-"))  # a socket's path is short
    path = folder / "config.toml"
    path.write_text(f'data = "{folder}/data"\nruntime = "{folder}/run"\nlink = "tls"\n')
    assert typed(path, "setup", "--name", "anna", "--json").exit_code == 0
    yield path
    shutil.rmtree(folder)


def typed(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["--config", str(config), *words])


def noted(config: Path, *names: str, at: float = NOW) -> None:
    with opened_store(config.parent / "data") as store:
        for name in names:
            audit.note(store.sql, Instant(at), "contact added", address=name, verified=False)


def test_what_was_decided_is_told_while_no_node_runs(config: Path) -> None:
    noted(config, "anna", "ben\x1b[2J")
    told = typed(config, "audit")
    assert told.exit_code == 0
    assert "contact added" in told.stdout
    assert "address anna, verified no" in told.stdout
    assert "\x1b" not in told.stdout
    entries = json.loads(typed(config, "audit", "--json").stdout)["entries"]
    assert [entry["facts"]["address"] for entry in entries] == ["anna", "ben\x1b[2J"]


def test_it_is_told_since_a_moment(config: Path) -> None:
    noted(config, "long ago", at=1_600_000_000.0)
    assert typed(config, "audit", "--since", "2h").stdout == "Nothing was noted.\n"
    noted(config, "now", at=SystemClock().now())
    for since in ("2h", "1d", "2026-01-01T00:00+02:00", "2026-01-01"):
        told = typed(config, "audit", "--since", since).stdout
        assert "now" in told
        assert "long ago" not in told
    wrong = typed(config, "audit", "--since", "yesterday")
    assert wrong.exit_code == 2
    assert "Say it like 2h or 7d" in wrong.stderr


def test_verify_prints_the_head_and_takes_it_back(config: Path) -> None:
    assert "empty" in typed(config, "audit", "verify").stdout
    noted(config, "anna", "ben")
    first = typed(config, "audit", "verify")
    assert first.exit_code == 0
    assert "The chain is whole: 2 entries, 1 to 2." in first.stdout
    assert "Keep the head on another machine" in first.stdout
    head = first.stdout.partition("Head: ")[2].split()[0]
    noted(config, "carla")
    again = typed(config, "audit", "verify", "--head", head)
    assert again.exit_code == 0
    assert "The head that you kept is in it" in again.stdout
    with opened_store(config.parent / "data") as store:
        store.sql.execute("DELETE FROM audit WHERE number = 2")
    broken = typed(config, "audit", "verify", "--head", head)
    assert broken.exit_code == 1
    assert "NOT whole" in broken.stdout
    assert "Entries are missing: 2 to 2." in broken.stdout
    told = typed(config, "audit", "verify", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["whole"] is False
    typing_error = typed(config, "audit", "verify", "--head", "2:abc", "--json")
    assert typing_error.exit_code == 1
    assert "64 hexadecimal digits" in json.loads(typing_error.stdout)["error"]


def test_whoever_wrote_a_store_commands_no_administrator_who_looks_at_it(config: Path) -> None:
    """Also root looks at it, with --config."""
    noted(config, "anna")
    hostile = "\x1b]0;x\x07\nroot"
    with opened_store(config.parent / "data") as store:
        store.sql.execute('CREATE TABLE "audit_set_aside_1; evil" (number, line, hash)')
        for at in (NOW, 1e308, float("inf"), float("nan"), -1.0):
            (last,) = store.sql.execute("SELECT max(number) FROM audit").fetchone()
            entry = {"number": last + 1, "at": at, "event": hostile, "facts": {hostile: hostile}}
            line = json.dumps({**entry, "previous": "00" * 32}).encode()
            digest = hashlib.sha256(line).digest()
            store.sql.execute("INSERT INTO audit VALUES (?, ?, ?)", (last + 1, line, digest))
    told = typed(config, "audit")
    assert told.exit_code == 0, told.output
    assert len(told.stdout.splitlines()) == 6
    assert told.stdout.count("cannot be read, or was changed") == 4
    assert all(line.isprintable() for line in told.stdout.splitlines())
    assert typed(config, "audit", "verify").exit_code == 1


def test_the_desk_answers_the_same(config: Path) -> None:
    noted(config, "anna")
    offline = [json.loads(typed(config, *words, "--json").stdout) for words in (["audit"], VERIFY)]
    assert [answer.pop("version") for answer in offline] == [1, 1]

    async def work(database: Database, _: FolderDisk) -> None:
        desk = AuditDesk(database).questions
        assert await desk["audit"]({"do": "audit", "since": "0.0"}) == offline[0]
        assert await desk["audit verify"]({"do": "audit verify", "head": None}) == offline[1]

    with_database(config.parent / "data", work)


VERIFY = ["audit", "verify"]

# What may stand in an entry. Nothing of a letter but its ids; no password, word or secret.
FACTS = {
    "address", "and_more", "bringer", "by", "hash", "how", "id", "key", "kind",
    "made_at", "more_left_out_for_a_day", "narrowed", "policy", "reason", "silently", "up_to",
    "version", "what",
}  # fmt: skip
BY_NAME_ELSEWHERE = {"keys.py", "keys_cli.py"}  # facts that `keys` puts together: which, and how


def test_nothing_is_noted_but_what_is_listed_here() -> None:
    """Events are constants, and so are the names of facts: grep finds who notes what."""
    calls = 0
    for path in sorted(SERVICE.rglob("*.py")):
        inside = path.parts[-2:] == ("store", "audit.py")
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not _is_note(call.func, inside):
                continue
            calls += 1
            where = f"{path.name}:{call.lineno}"
            event = call.args[2]
            is_constant = (
                isinstance(event, ast.Constant) or ast.unparse(event).rpartition(".")[2].isupper()
            )
            passed_on = ast.unparse(event) in ("event", "key")  # the caller's, a constant there
            assert is_constant or passed_on, f"{where}: the event is no constant"
            if any(word.arg is None for word in call.keywords):
                assert inside or path.name in BY_NAME_ELSEWHERE, f"{where}: which facts are these?"
            facts = {word.arg for word in call.keywords if word.arg is not None}
            assert facts <= FACTS, f"{where}: {facts - FACTS} is not listed in {__file__}"
    assert calls >= 3


def _is_note(called: ast.expr, inside: bool) -> bool:
    names = ("note", "note_from_outside", "note_refused", "note_alone")
    return ast.unparse(called) in (names if inside else [f"audit.{name}" for name in names])
