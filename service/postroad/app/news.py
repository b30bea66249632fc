"""What is new about a node between two looks at it, in lines; pure.

A scene is one object of `postroad watch --json`.
"""

from collections.abc import Iterator
from typing import Any

Scene = dict[str, Any]


def between(before: Scene | None, after: Scene) -> Iterator[str]:
    """What whoever saw `before` has to hear of `after`; without it, all that matters."""
    old = before or {"sentence": "", "problems": [], "letters": [], "peers": []}
    if after["sentence"] != old["sentence"]:
        yield after["sentence"]
    yield from _problems(old, after)
    yield from _letters(old, after)
    yield from _peers(old, after, is_first=before is None)


def _problems(old: Scene, new: Scene) -> Iterator[str]:
    were = {one["summary"] for one in old["problems"]}
    are = {one["summary"] for one in new["problems"]}
    for one in new["problems"]:
        if one["summary"] not in were:
            yield f"{one['severity']}: {one['summary']} {one['next_step']}"
    codes = {one["code"] for one in new["problems"]}
    for one in old["problems"]:
        if one["summary"] not in are and one["code"] not in codes:
            yield f"over: {one['summary']}"


def _letters(old: Scene, new: Scene) -> Iterator[str]:
    were = {one["id"]: one for one in old["letters"]}
    for one in new["letters"]:
        last = were.get(one["id"])
        if last is None or (last["state"], last["holders"]) != (one["state"], one["holders"]):
            yield f"letter {one['id']} to {one['recipient']}: {how_far(one)}"


def how_far(letter: dict[str, Any]) -> str:
    """Its state, and who has it, in words."""
    holders = letter["holders"]
    state = str(letter["state"])
    if state == "held" or (state == "late" and holders):
        return f"{state}, by {holders} {'holder' if holders == 1 else 'holders'}"
    return state


def _peers(old: Scene, new: Scene, *, is_first: bool) -> Iterator[str]:
    were = {one["name"]: one for one in old["peers"]}
    for one in new["peers"]:
        last = were.get(one["name"])
        path = "none" if last is None else last["path"]
        if one["path"] == path:
            continue
        if one["path"] == "none":
            yield f"{one['name']}'s node: no link any more"
        else:
            yield f"{one['name']}'s node: linked, {one['path']}, {one['milliseconds']} ms"
    if not is_first:
        for name in sorted({one["name"] for one in new["peers"]} - set(were)):
            yield f"{name} is a contact now"
