"""Ask a running node, and tell its owner the answer: in words, or as one JSON object.

Every error ends as one sentence and an exit code. Each JSON object is made here, and says which
version of docs/cli.md it keeps to.
"""

import json
import re
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any, NoReturn

import click

from postroad.app.config import Config
from postroad.app.owners_file import ReadFile, WrittenFile, converse
from postroad.app.tongue import shown
from postroad.base import limits
from postroad.base.errors import ConfigurationError, Locked, NotSetUp, PostroadError
from postroad.contract import JSON_VERSION
from postroad.phrases import heard, joined, phrase
from postroad.protocol import starting
from postroad.protocol.starting import Keeper

FAILED, USAGE, NOT_RUNNING, NOT_SET_UP, LOCKED = 1, 2, 3, 4, 5
GAVE_NONE = phrase("Your node gave no answer. Is it stopping? Try again.")
NOT_RUNNING_NODE = phrase("Your node is not running.")
WAIT_SECONDS_MAX = limits.CONTROL_SECONDS_MAX + 5  # the node's own word comes first

as_json = click.option("--json", "json_wanted", is_flag=True, help="Answer with one JSON object.")
UNITS = {"m": limits.MINUTE, "h": limits.HOUR, "d": limits.DAY}


def seconds_in(duration: str) -> int | None:
    """How long a time like 30m, 2h or 1d is; None when it is none."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", duration)
    return int(found[1]) * UNITS[found[2]] if found else None


def seconds_of(duration: str | None) -> int | None:
    """How long that is; Misused when it is no time."""
    if duration is None:
        return None
    seconds = seconds_in(duration)
    if seconds is None:
        no_time = phrase("{said} is no time. Say it like 30m, 2h or 1d.", said=repr(duration))
        raise Misused(no_time)
    return seconds


def is_text(said: str) -> bool:
    """Whether it can be written as UTF-8: octets of an argument that are not come as surrogates."""
    try:
        said.encode()
    except UnicodeEncodeError:
        return False
    return True


def line_of_stdin(what: str, octets_max: int = limits.CONTROL_LINE_BYTES_MAX) -> str:
    """One line, without its end, "" when there is none; ConfigurationError where it is no text."""
    try:
        return sys.stdin.buffer.readline(octets_max).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} on stdin is not UTF-8.") from error


Asked = str | int | None | list[int]


class Misused(PostroadError):
    """What was typed makes no sense as it stands: a time that is none, options that exclude each
    other."""


class NotRunning(PostroadError):
    """Nobody answers at the control socket. `what`: which is not running; `start`: the line that
    begins it; `known`: what is known all the same."""

    def __init__(self, what: str = NOT_RUNNING_NODE, start: str = starting.RUN) -> None:
        super().__init__(joined(what, phrase("Start it with: {command}", command=start)))
        self.known: dict[str, Any] = {}


class Going(NotRunning):
    """systemd still ends it, and may be about to start it anew."""


class NotThere(PostroadError):
    """Nobody answers at the control socket, and yet somebody works in the data folder."""

    def __init__(self, config: Config, keeper: Keeper) -> None:
        super().__init__(
            joined(
                phrase(
                    "Nobody answers at {path}, but a node works in {folder}: it is starting or "
                    "stopping, or runtime was changed since it was started. Try again in a moment; "
                    "if it stays so,",
                    path=config.control_path,
                    folder=config.data,
                ),
                starting.in_words(keeper, ["runtime"]),
            )
        )


class Starting(NotRunning):
    """systemd is about to start it, or starts it just now."""

    def __init__(self) -> None:
        PostroadError.__init__(
            self,
            phrase(
                "Your node is starting, and does not answer yet. Try again in a moment; if it "
                "stays so, type: postroad doctor"
            ),
        )
        self.known = {}


class NoAnswer(PostroadError):
    """A node is there, and says nothing within the time that its asker has."""

    def __init__(self, seconds: float, keeper: Keeper = Keeper.TERMINAL) -> None:
        super().__init__(
            joined(
                phrase(
                    "Your node is running, but gives no answer within {seconds} s: it is very "
                    "busy, or hangs. Ask again in a minute; if it stays so,",
                    seconds=f"{seconds:g}",
                ),
                starting.in_words(keeper),
            )
        )


def finish(
    work: Callable[[], dict[str, Any]],
    json_wanted: bool,
    show: Callable[[dict[str, Any]], None],
    is_good: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> None:
    """Do the work and show its answer; every error ends as one sentence and an exit code.

    `is_good`: whether the answer itself is good news; else the exit code is 1."""
    try:
        answer = work()
    except Misused as error:
        fail(str(error), USAGE, json_wanted)
    except NotRunning as error:
        fail(str(error), NOT_RUNNING, json_wanted, error.known)
    except NotSetUp as error:
        fail(str(error), NOT_SET_UP, json_wanted)
    except Locked as error:
        fail(str(error), LOCKED, json_wanted)
    except PostroadError as error:
        fail(str(error), FAILED, json_wanted)
    except UnicodeDecodeError as error:  # of a question that was answered at the terminal
        if not sys.stdin.isatty():
            raise
        fail(f"What you typed is not UTF-8 ({error.reason}). Type it again.", FAILED, json_wanted)
    except click.Abort:
        stopped = phrase("Stopped: a question was not answered, and nothing was done.")
        fail(stopped, FAILED, json_wanted)
    except Exception as error:  # the doorstep of a program that reads our answer
        if not json_wanted:
            raise
        traceback.print_exc()
        fail(f"Postroad failed by a fault of its own: {error!r}.", FAILED, json_wanted)
    if json_wanted:
        _echo_json(answer)
    else:
        show(answer)
    if not is_good(answer):
        sys.exit(FAILED)


def fail(
    sentence: str, code: int, json_wanted: bool, known: Mapping[str, Any] = MappingProxyType({})
) -> NoReturn:
    """`known`: what a program that reads the error is told beside it."""
    if json_wanted:
        _echo_json({"error": sentence, **known})
    else:
        click.echo(f"postroad: {shown(sentence)}", err=True)
    sys.exit(code)


def _echo_json(answer: dict[str, Any]) -> None:
    assert "version" not in answer, "the version is of the answer's form, and of nothing else"
    click.echo(json.dumps({"version": JSON_VERSION, **answer}))


def ask(control: Path, **request: Asked) -> dict[str, Any]:
    """What the node behind this control socket answers to the request; NotRunning when none does.

    Raises PostroadError with the node's own sentence when it refuses."""
    return _ask(control, request, None)


def ask_own(config: Config, **request: Asked) -> dict[str, Any]:
    """What the owner's running node answers, once it is there; NotSetUp when there can be none."""
    return _once_there(config, lambda: ask(config.control_path, **request))


def _once_there(config: Config, asked: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask; a node that is on its way is waited for, for its owner cannot know when it is there: who
    has just logged in, or has typed `postroad run` in another terminal, is quicker."""
    began = monotonic()
    while True:
        try:
            return asked()
        except NotRunning:
            why = _no_node(config, _as_service)
        if monotonic() - began >= PATIENCE_SECONDS.get(type(why), 0.0):
            raise why from None
        for _ in range(ASKED_BETWEEN_LOOKS):
            sleep(ASK_AGAIN_SECONDS)
            with suppress(NotRunning):
                return asked()


def _as_service() -> str:
    """The state in which systemd has it, like "activating"; "" where it does not say."""
    from postroad.app import service as services

    seen = services.standing(SYSTEMD_SECONDS_MAX)
    return "" if seen is None else str(seen["state"])


def _no_node(config: Config, as_service: Callable[[], str]) -> PostroadError:
    """Why nobody answers. `as_service`: is asked of the usual node's state there."""
    from postroad.app import keeper  # it is long to import, and most commands never need it
    from postroad.machine import looks

    if not config.is_set_up:
        return NotSetUp()
    kept = keeper.of(config.control_path)
    state = as_service() if kept is Keeper.SERVICE else ""
    if state in starting.COMING:
        return Starting()
    if looks.is_locked(config.data / "lock"):
        return NotThere(config, kept)
    gone = Going if state == starting.GOING else NotRunning
    return gone(start=starting.start(kept))


# For whoever is on their way: what systemd starts may have to wait for its turn and for the disk.
PATIENCE_SECONDS: dict[type[PostroadError], float] = {Starting: 10.0, NotThere: 3.0, Going: 3.0}
ASK_AGAIN_SECONDS, ASKED_BETWEEN_LOOKS = 0.1, 5
SYSTEMD_SECONDS_MAX = 1.0


def list_all(
    context: click.Context, what: str, json_wanted: bool, show: Callable[[dict[str, Any]], None]
) -> None:
    """What a group of commands does when it is typed alone: the node lists what it is about."""
    if context.invoked_subcommand is None:
        finish(lambda: ask_own(context.obj.config, do=what), json_wanted, show)


def ask_soon(config: Config, seconds: float, **request: Asked) -> dict[str, Any]:
    """The same as `ask_own`, for whoever waits for no node that is on its way, and not long for one
    that is there; NoAnswer then."""
    try:
        return _ask(config.control_path, request, None, seconds)
    except NotRunning:
        raise _no_node(config, lambda: "") from None


def ask_about(file: WrittenFile | ReadFile, config: Config, **request: Asked) -> dict[str, Any]:
    """The same as `ask_own` of a request that is about a file of the owner's."""
    return _once_there(config, lambda: _ask(config.control_path, request, file))


def _ask(
    control: Path,
    request: dict[str, Asked],
    file: WrittenFile | ReadFile | None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """`seconds`: for an answer, whatever the node does; None: as long as a node works on one."""
    if not all(is_text(one) for one in request.values() if isinstance(one, str)):
        raise PostroadError(phrase("What you typed is not UTF-8. Nothing was done; type it again."))
    line = json.dumps(request).encode() + b"\n"
    if len(line) > limits.CONTROL_LINE_BYTES_MAX:
        raise PostroadError(
            phrase("What you typed is too long to be what was asked for. Nothing was done.")
        )
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_SECONDS_MAX if seconds is None else seconds)
            connection.connect(str(control))
            if seconds is not None:
                answer = _answer_soon(connection, line, seconds)
            else:
                answer = _answer(connection, line, file)
    except (TimeoutError, BlockingIOError) as error:  # the latter: too many wait there already
        from postroad.app import keeper

        raise NoAnswer(seconds or WAIT_SECONDS_MAX, keeper.of(control)) from error
    except OSError as error:
        raise NotRunning from error
    if not answer.pop("ok"):
        refusal = heard(answer["error"], answer.get("error_parts"))
        if answer.get("locked"):
            raise Locked(refusal)
        if answer.get("not_set_up"):
            raise NotSetUp
        raise PostroadError(refusal)
    return dict(answer)


def _answer(
    connection: socket.socket, line: bytes, file: WrittenFile | ReadFile | None
) -> dict[str, Any]:
    try:
        if file is not None:
            return converse(connection, line, file)
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise PostroadError(GAVE_NONE) from error
    assert isinstance(answer, dict)
    return answer


def _answer_soon(connection: socket.socket, line: bytes, seconds: float) -> dict[str, Any]:
    """TimeoutError when the whole answer takes longer, however little of it comes at a time."""
    ends_at = monotonic() + seconds
    octets = b""
    try:
        connection.sendall(line)
        while not octets.endswith(b"\n"):
            connection.settimeout(max(ends_at - monotonic(), 0.001))
            some = connection.recv(limits.CONTROL_LINE_BYTES_MAX)
            if not some:
                break
            octets += some
        answer = json.loads(octets)
    except TimeoutError:
        raise
    except (OSError, ValueError) as error:
        raise PostroadError(GAVE_NONE) from error
    assert isinstance(answer, dict)
    return answer
