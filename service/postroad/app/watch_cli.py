"""`postroad watch`: how the node does, live, until Ctrl-C.

Purpose: on a terminal one view that is drawn anew, in a pipe a line for each thing that changes,
with --json an object a line. The node is asked again only after it said that something changed,
and once a second at most; a node at rest is left alone.
Invariants: a node that stops, or starts again, is waited for; Ctrl-C is the ordinary end (exit code
0), and the terminal is as it was before.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any, Protocol

import click

from postroad.app import keeper, news
from postroad.app.asking import NoAnswer, NotRunning, as_json, ask, ask_own, finish
from postroad.app.config import Config
from postroad.base.errors import NotSetUp, PostroadError
from postroad.contract import JSON_VERSION
from postroad.protocol.health import Facts, judge

AGAIN_SECONDS = 1.0  # between two looks at a node that is off, or locked


class Shows(Protocol):
    def show(self, scene: news.Scene) -> None: ...


@click.command()
@as_json
@click.pass_obj
def watch(place: Any, json_wanted: bool) -> None:
    """Show how your node does, live: letters under way, nodes, problems. Ctrl-C ends it.

    In a pipe it prints a line for each change, with --json an object."""

    def work() -> dict[str, Any]:
        config = place.config
        ask_own(config, do="status")  # one that is off, or not set up, is told as always
        try:
            with _shown(json_wanted) as shown:
                for scene in scenes(config):
                    shown.show(scene)
        except KeyboardInterrupt:
            sys.exit(0)
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        raise AssertionError("a node is watched until somebody ends it")

    finish(work, json_wanted, lambda _: None)


def _shown(json_wanted: bool) -> AbstractContextManager[Shows]:
    if json_wanted:
        return nullcontext(_Objects())
    if not sys.stdout.isatty():
        return nullcontext(_Lines())
    from postroad.app.telling_watch import Screen

    return Screen()


class _Objects:
    def show(self, scene: news.Scene) -> None:
        click.echo(json.dumps({"version": JSON_VERSION, **scene}))
        sys.stdout.flush()


class _Lines:
    """Only what is new since the last look."""

    def __init__(self) -> None:
        self._before: news.Scene | None = None

    def show(self, scene: news.Scene) -> None:
        from postroad.machine.clock import SystemClock

        now = datetime.fromtimestamp(SystemClock().now(), UTC).astimezone().strftime("%H:%M:%S")
        for line in news.between(self._before, scene):
            click.echo(f"{now}  {line}")
        sys.stdout.flush()
        self._before = scene


def scenes(config: Config) -> Iterator[news.Scene]:
    """What the node looks like, each time it looks otherwise; without an end."""
    watched = _Watched(config.control_path)
    before: news.Scene | None = None
    while True:
        try:
            watched.wait()
            scene = watched.look()
        except PostroadError as error:
            if isinstance(error, NotRunning | NotSetUp):
                watched = _Watched(config.control_path)  # the next one begins its own life
            scene = _without_node(_verdict(config, error))
            sleep(AGAIN_SECONDS)
        if scene != before:
            yield scene
        before = scene


class _Watched:
    """One life of the node, as far as it was seen."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._seen: int | None = None
        self._newest: int | None = None
        self._open: list[int] = []

    def wait(self) -> None:
        """Until something may have changed since the last look; the first returns at once."""
        self._seen = int(ask(self._control, do="changed", seen=self._seen)["seen"])

    def look(self) -> news.Scene:
        status = ask(self._control, do="status")
        try:
            letters, peers = self._letters(), ask(self._control, do="peers")["peers"]
        except PostroadError:
            if "contact_count" in status:
                raise
            return _without_node(status)  # a store that cannot be read: the verdict says so
        return {
            **{name: status[name] for name in VERDICT},
            **{name: status.get(name, 0) for name in COUNTS},
            "letters": letters,
            "peers": [_peer(one) for one in peers],
        }

    def _letters(self) -> list[dict[str, Any]]:
        found = ask(self._control, do="messages", after=self._newest, also=self._open)
        letters: list[dict[str, Any]] = found["messages"]
        self._newest = found["newest"]
        self._open = [one["id"] for one in letters if one["next_try_at"] is not None]
        return letters


def _peer(told: dict[str, Any]) -> dict[str, Any]:
    links = [node["link"] for node in told["nodes"] if node["link"] is not None]
    link = links[0] if links else None
    return {
        "name": told["name"],
        "seen_at": told["seen_at"],
        "path": "none" if link is None else "direct" if link["direct"] else "relayed",
        "milliseconds": None if link is None else link["round_trip_milliseconds"],
        "holds_for_us": told["holds_for_us"],
        "we_hold_for_them": told["we_hold_for_them"],
    }


VERDICT = ("state", "health", "sentence", "problems")
COUNTS = ("contact_count", "holders", "letters_under_way")


def _verdict(config: Config, error: PostroadError) -> dict[str, Any]:
    """Of a node that answered with this error, or not at all."""
    if not isinstance(error, NotRunning | NotSetUp | NoAnswer):
        with suppress(PostroadError):  # it is locked, or waits for what it needs: it says which
            return ask(config.control_path, do="health")
    kept = keeper.of(config.control_path)
    off = judge(Facts(is_set_up=config.is_set_up, is_running=False, keeper=kept)).told()
    # One that is stopping, or hangs, is told as it said it; the next look says which it is.
    return off if isinstance(error, NotRunning | NotSetUp) else {**off, "sentence": str(error)}


def _without_node(told: dict[str, Any]) -> news.Scene:
    return {
        **{name: told[name] for name in VERDICT},
        **dict.fromkeys(COUNTS, 0),
        "letters": [],
        "peers": [],
    }
