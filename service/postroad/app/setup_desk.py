"""Set up over the bus, or the control socket: the words are shown first, and three of them asked.

Purpose: `postroad setup` for programs with a window. Whoever asks gets the 24 words of a new
identity and keeps them; whoever then says three of them back has them, and is set up.
Invariants: nothing is written before that. A draft is forgotten with the next one, and with this
process; nobody else hears its words.
"""

import asyncio
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app import setting_up
from postroad.base.errors import ConfigurationError, PermanentFailure
from postroad.machine.clock import SystemClock
from postroad.machine.entropy import SystemEntropy
from postroad.message.address import is_name
from postroad.sealing.keys import SEED_BYTES, WORDS, Identity

Reply = dict[str, Any]
WORDS_ASKED = 3


@dataclass(frozen=True, slots=True)
class _Draft:
    name: str
    identity: Identity = field(repr=False)
    asked: tuple[int, ...]


class SetupDesk:
    """`questions` are for a node that is not set up. `path`: of its configuration; `done` is called
    once it is."""

    def __init__(self, path: Path, done: Callable[[], None], held: Container[int] = ()) -> None:
        """`held`: ports that systemd holds for this node, which are as good as free."""
        self._path = path
        self._held = held
        self._done = done
        self._draft: _Draft | None = None
        self.questions = {"setup": self._begin, "finish setup": self._finish}

    async def _begin(self, request: dict[str, Any]) -> Reply:
        name = str(request.get("name", ""))
        if not is_name(name):
            raise PermanentFailure(
                "That cannot be part of an address: use 1 to 31 of a-z, 0-9, - and _."
            )
        entropy = SystemEntropy()
        numbers = list(range(1, WORDS + 1))
        asked = sorted(
            numbers.pop(int(entropy.uniform() * len(numbers))) for _ in range(WORDS_ASKED)
        )
        self._draft = _Draft(name, Identity(entropy.token(SEED_BYTES)), tuple(asked))
        return {"words": self._draft.identity.words, "asked": asked}

    async def _finish(self, request: dict[str, Any]) -> Reply:
        draft, given = self._draft, str(request.get("words", "")).lower().split()
        if draft is None:
            raise PermanentFailure("No words were shown yet: set up from the beginning.")
        words = draft.identity.words.split()
        if given != [words[number - 1] for number in draft.asked]:
            raise PermanentFailure(
                "Those are not the words that were asked for. You are not set up; look at your "
                "paper and say them again, or begin anew."
            )
        told = await asyncio.to_thread(_set_up, self._path, draft, self._held)
        self._draft = None
        self._done()
        return told


def _set_up(path: Path, draft: _Draft, held: Container[int]) -> Reply:
    policy = policies.load()
    config = policies.to_set_up(configuration.load(path), policy, None)
    allowed = policies.narrowed(config, policy).keys_at_rest
    if "plain" not in allowed:
        raise ConfigurationError(
            "Keys have to be protected on this computer (keys_at_rest). Type: postroad setup "
            f"--protect {allowed[0]}"
        )
    with setting_up.set_up(
        path,
        config,
        draft.name,
        draft.identity,
        setting_up.Means(SystemClock(), SystemEntropy(), held=held),
    ) as made:
        pass  # its owner has the words: they said three of them
    return {"address": str(made.address), "password": made.password}
