"""What a TAB offers where a command takes a name, an id or a number: the running node knows.

Purpose: one question to the node, and its answer as words for the shell.
Invariants: nothing is started, nobody is waited for longer than WAIT_SECONDS, and nothing is said:
where no node answers in time, nothing is offered. A word that a shell would have to quote is not
offered, but another name of the same thing: the node was told some of them by others.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from postroad.app import config as configuration
from postroad.app.asking import ask_soon
from postroad.base.errors import PostroadError

WAIT_SECONDS = 0.5
_PLAIN = re.compile(r"\w[\w.+@-]*", re.ASCII)
Words = Iterator[tuple[str, str]]  # and what is said beside them
Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offering(question: str, words: Callable[[dict[str, Any]], Words]) -> Completion:
    def complete(
        context: click.Context, _parameter: click.Parameter, begun: str
    ) -> list[CompletionItem]:
        named: Path | None = context.find_root().params.get("path")
        try:
            config = configuration.load(named or configuration.default_path())
            answer = ask_soon(config, WAIT_SECONDS, do=question)
        except (PostroadError, OSError):
            return []
        offered = {word: about for word, about in words(answer) if word.startswith(begun)}
        return [CompletionItem(word, help=about or None) for word, about in offered.items()]

    return complete


def _first_plain(*names: str) -> str:
    """The first of these names of one thing that a shell takes as it is; "" where none does."""
    return next((name for name in names if _PLAIN.fullmatch(name)), "")


def _people(answer: dict[str, Any]) -> Words:
    for one in answer["contacts"]:
        word = _first_plain(one["name"], one["address"])
        if word:
            yield word, one["address"] if word == one["name"] else ""


def _letters(answer: dict[str, Any]) -> Words:
    for one in answer["queue"]:
        yield str(one["id"]), f"to {one['recipient']}"


def _letters_and_all(answer: dict[str, Any]) -> Words:
    yield from _letters(answer)
    if answer["queue"]:
        yield "all", "all of them"


def _ids(what: str, about: str) -> Callable[[dict[str, Any]], Words]:
    def words(answer: dict[str, Any]) -> Words:
        for one in answer[what]:
            yield _first_plain(str(one["id"])), str(one[about])

    return words


def _helpers(answer: dict[str, Any]) -> Words:
    for one in answer["helpers"]:
        word = _first_plain(one["name"])
        if word:
            yield word, ""


contacts = _offering("contacts", _people)
letters = _offering("queue", _letters)
letters_or_all = _offering("queue", _letters_and_all)
requests = _offering("requests", _ids("requests", "address"))
proposals = _offering("proposals", _ids("proposals", "address"))
invitations = _offering("invitations", _ids("invitations", "state"))
devices = _offering("devices", _ids("devices", "key"))
helpers = _offering("helpers", _helpers)
