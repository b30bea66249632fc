"""What is destroyed by time asks a confirmed clock: the source, held against ADR 10's table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "service" / "postroad"
BY_TIME = re.compile(
    r"DELETE FROM \w+\s+WHERE[^;]*(?:_at|vouched_until|\bat\b)[^;?]*<\s*\?", re.DOTALL
)
# These pass the clock's word on, and destroy nothing themselves.
MESSENGERS = {
    "sure_now", "confirmed", "tidy", "drops", "_is_wanted", "_relation", "settle", "_state",
    "_welcome", "_attend", "look_at_clocks", "accept", "_welcome_stranger", "_take_away_old",
    "_pack", "_bearer", "redate", "_follow_clock",
    # Epoch keys: when one is due, and what is noted for that.
    "turn", "_delete", "emptied", "emptied_at", "rotate", "rotated", "dropped", "drop_old_epochs",
    "thinned", "is_over", "are_waiting_for_fetch",
}  # fmt: skip


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """With those inside of them."""
    for path in sorted(HOUSE.rglob("*.py")):
        module = ast.parse(path.read_text()).body
        classes = [one.body for one in module if isinstance(one, ast.ClassDef)]
        for node in (one for body in (module, *classes) for one in body):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def asks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it takes a moment of a confirmed clock, or asks for one."""
    arguments = ast.unparse(node.args)
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Attribute)]
    return "SureInstant" in arguments or any(one.attr == "sure_now" for one in calls)


def texts(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def test_the_table_names_all_that_ask_and_nobody_else() -> None:
    text = (ROOT / "docs" / "adr" / "0010-confirmed-clock.md").read_text()
    table = text.partition("## What asks")[2].partition("Not in it")[0]
    named = {name.rpartition(".")[2] for name in re.findall(r"\| `([\w.]+)` \|", table)}
    asking = {node.name for _, node in functions() if asks(node)}
    assert asking - MESSENGERS == named


def test_rows_are_deleted_by_time_only_by_who_asks() -> None:
    deleting = [
        (path.name, node.name)
        for path, node in functions()
        if any(map(BY_TIME.search, texts(node)))
    ]
    assert len(deleting) >= 6, "the pattern has lost its subject"
    asking = {(path.name, node.name) for path, node in functions() if asks(node)}
    assert set(deleting) <= asking


def test_only_the_timekeeper_makes_a_sure_moment() -> None:
    making = [
        path.name
        for path in sorted(HOUSE.rglob("*.py"))
        if re.search(r"SureInstant\(", path.read_text()) and path.name != "ids.py"
    ]
    assert making == ["timekeeper.py"]
