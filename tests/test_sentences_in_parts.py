"""Why the machine does not give something is a fact that ends up in the middle of other sentences,
so each such reason in the source, and each advice behind it, knows its parts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import postroad
from postroad.app import running

ROOM = Path(postroad.__file__).parent
REASONS = {"NotToBeHad", "advised"}
SAYERS = {"phrase", "counted"}


def test_every_reason_of_the_machine_and_every_advice_knows_its_parts() -> None:
    found = [(str(path.relative_to(ROOM)), one) for path in ROOM.rglob("*.py") for one in
             reasons(ast.parse(path.read_text()))]  # fmt: skip
    assert len(found) > 25
    wrong = [f"{name}:{one.lineno}: {ast.unparse(one)}" for name, one in found if is_plain(one)]
    assert wrong == []


def test_no_english_word_is_put_into_a_sentence_of_the_machine() -> None:
    """It would stand in the middle of a German one. Names of keys have no space."""
    paths = [*(ROOM / "machine").rglob("*.py"), *(ROOM / "app").glob("running.py")]
    wrong = [
        f"{path.name}:{one.value.lineno}: {ast.unparse(one)}"
        for path in paths
        for call in calls(ast.parse(path.read_text()), SAYERS)
        for one in call.keywords
        for text in ast.walk(one.value)
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and " " in text.value
    ]
    assert wrong == []


def test_the_keys_of_the_ports_for_peers_have_no_word_of_ours_between_them() -> None:
    two = running.another_port(Path("/c"), has_hosts=True)
    assert two == "To use another one, change peer_port or peer_hosts in /c."
    assert two.parts[0].arguments == {"key": "peer_port", "other": "peer_hosts", "path": "/c"}
    one = running.another_port(Path("/c"), has_hosts=False)
    assert one == "To use another one, change peer_port in /c."


def test_what_is_plain_is_seen() -> None:
    mixed = "joined(phrase('A.'), f'{b}.')"
    for source in ("'No.'", "f'No {a}.'", "'No.' + a", mixed, "''.join(a)"):
        (one,) = reasons(ast.parse(f"raise NotToBeHad({source}) from error"))
        assert is_plain(one), source
    for source in ("phrase('No.')", "joined(who, phrase('Do.'))", "_why(error)", "a if b else c"):
        (one,) = reasons(ast.parse(f"with errors.advised({source}): pass"))
        assert not is_plain(one), source


def reasons(tree: ast.Module) -> Iterator[ast.expr]:
    return (one.args[0] for one in calls(tree, REASONS) if one.args)


def calls(tree: ast.Module, names: set[str]) -> Iterator[ast.Call]:
    for one in ast.walk(tree):
        if isinstance(one, ast.Call):
            called = one.func.attr if isinstance(one.func, ast.Attribute) else one.func
            name = called.id if isinstance(called, ast.Name) else called
            if name in names:
                yield one


def is_plain(one: ast.expr) -> bool:
    """Whether a string without parts may come of it. What has a name, or is made by a function of
    ours, is of a type that mypy knows, and is looked at where it is made."""
    match one:
        case ast.Name():
            return False
        case ast.IfExp():
            return is_plain(one.body) or is_plain(one.orelse)
        case ast.Call(func=ast.Name(id="joined")):
            return any(map(is_plain, one.args))
        case ast.Call(func=ast.Name()):
            return False
        case _:
            return True
