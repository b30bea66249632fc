"""What is new about a node between two looks at it, in lines; pure.

A scene is one object of `postroad watch --json`.
"""

from collections.abc import Iterator
from typing import Any

from postroad.app.tongue import _, many, retold, said

Scene = dict[str, Any]


def between(before: Scene | None, after: Scene) -> Iterator[str]:
    """What whoever saw `before` has to hear of `after`; without it, all that matters."""
    old = before or {"sentence": "", "problems": [], "letters": [], "peers": []}
    if after["sentence"] != old["sentence"]:
        yield said(after["sentence"])
    yield from _problems(old, after)
    yield from _letters(old, after)
    yield from _peers(old, after, is_first=before is None)


def _problems(old: Scene, new: Scene) -> Iterator[str]:
    were = {one["summary"] for one in old["problems"]}
    are = {one["summary"] for one in new["problems"]}
    for one in new["problems"]:
        if one["summary"] not in were:
            yield f"{one['severity']}: {retold(one, 'summary')} {retold(one, 'next_step')}"
    codes = {one["code"] for one in new["problems"]}
    for one in old["problems"]:
        if one["summary"] not in are and one["code"] not in codes:
            yield _("over: {words}").format(words=retold(one, "summary"))


def _letters(old: Scene, new: Scene) -> Iterator[str]:
    were = {one["id"]: one for one in old["letters"]}
    for one in new["letters"]:
        last = were.get(one["id"])
        if last is None or (last["state"], last["holders"]) != (one["state"], one["holders"]):
            line = _("letter {id} to {recipient}: {state}")
            yield line.format(id=one["id"], recipient=one["recipient"], state=how_far(one))


def how_far(letter: dict[str, Any]) -> str:
    """Its state, and who has it, in words."""
    holders = letter["holders"]
    known = {
        "waiting": _("waiting"),
        "held": _("held"),
        "late": _("late"),
        "requested": _("requested"),
        "delivered": _("delivered"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
    }
    state = known.get(str(letter["state"]), str(letter["state"]))
    if letter["state"] == "held" or (letter["state"] == "late" and holders):
        by = many("{state}, by {n} holder", "{state}, by {n} holders", holders)
        return by.format(state=state)
    return state


def _peers(old: Scene, new: Scene, *, is_first: bool) -> Iterator[str]:
    were = {one["name"]: one for one in old["peers"]}
    for one in new["peers"]:
        last = were.get(one["name"])
        path = "none" if last is None else last["path"]
        if one["path"] == path:
            continue
        if one["path"] == "none":
            yield _("{name}'s node: no link any more").format(name=one["name"])
        else:
            way = {"direct": _("direct"), "relayed": _("relayed")}.get(one["path"], one["path"])
            line = _("{name}'s node: linked, {way}, {ms} ms")
            yield line.format(name=one["name"], way=way, ms=one["milliseconds"])
    if not is_first:
        for name in sorted({one["name"] for one in new["peers"]} - set(were)):
            yield _("{name} is a contact now").format(name=name)
