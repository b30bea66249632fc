"""`postroad-tray`: what is typed, one instance in each session, and who draws.

Purpose: the composition root of the tray. What is drawn, and with what, is decided here; the rest
is in `qt_program` and `light_program`, so that neither Qt nor GTK is loaded where it is not wanted.
Invariants: whoever starts us hears one sentence and no traceback. With `--background` nothing is
shown until somebody asks for it. A second start shows the window of the first, and ends.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postroad import __version__
from postroad_tray import instance, lean, tongue
from postroad_tray.client import Answer
from postroad_tray.deeds import Place
from postroad_tray.post import Post
from postroad_tray.tongue import _

if TYPE_CHECKING:
    from postroad_tray.bus import Line

PROGRAM = "postroad-tray"
FAILED = 1
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SWITCH_SECONDS = 0.001  # after so long another thread may have the interpreter: the one that draws
DISPLAYS = ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM")
WINDOW_NAME = "org.postroad.TrayWindow1"  # of a window that the light icon has opened


@dataclass(frozen=True, slots=True)
class Options:
    is_light: bool = False
    has_icon: bool = True
    in_background: bool = False
    page: str = ""
    is_window: bool = False  # and nothing else: the light icon has started us


class Doorbell:
    """What others want of us: that the window is shown (a second start), or that we go (a signal,
    or a first one that was there after all). Whoever draws says how, as soon as they can;
    `is_leaving` tells them what was wanted before; `is_second`, that no window is."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str], None] = lambda page, token: None
        self.leave: Callable[[], None] = lambda: None
        self.is_leaving = False
        self.is_second = False

    def go(self) -> None:
        self.is_leaving = True
        self.leave()


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever draws gets."""

    options: Options
    line: Line
    post: Post
    doorbell: Doorbell


class NotHere(Exception):
    """This back end cannot draw here; a sentence that says why."""


def main(words: Sequence[str] | None = None) -> int:
    lean.without_tls()
    tongue.speak()
    logging.basicConfig(level=logging.WARNING, format=f"{PROGRAM}: %(message)s")
    options = _parsed(sys.argv[1:] if words is None else words)
    doorbell = Doorbell()
    for number in ENDS:
        signal.signal(number, lambda *_ignored: doorbell.go())
    try:
        return _run(options, doorbell)
    except ValueError as error:  # of the environment
        return _failed(str(error))


def now() -> float:
    """Seconds UTC; for whoever draws, who gets it from here."""
    return time.time()  # noqa: TID251  (this is the clock that is injected)


def _parsed(words: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=_("Shows in the tray how your mail is, and what to do when it is not fine."),
    )
    parser.add_argument(
        "--light", action="store_true", help=_("an icon with a menu, drawn by GTK, without Qt")
    )
    parser.add_argument(
        "--no-icon",
        action="store_true",
        help=_("no icon: notifications, and the window when it is asked for"),
    )
    parser.add_argument(
        "--background",
        action="store_true",
        help=_("show no window until it is asked for, as at login"),
    )
    parser.add_argument(
        "--page",
        choices=[place.value for place in Place],
        default="",
        metavar="PAGE",
        help=_("open the window there: {pages}").format(pages=", ".join(Place)),
    )
    parser.add_argument("--window", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    said = parser.parse_args(words)
    if said.light and said.no_icon:
        parser.error(_("--light is an icon: leave one of --light and --no-icon out"))
    return Options(said.light, not said.no_icon, said.background, said.page, said.window)


def _run(options: Options, doorbell: Doorbell) -> int:
    from postroad_tray import bus  # asyncio comes with it

    address = bus.address()
    name = WINDOW_NAME if options.is_window else instance.NAME
    lock = instance.Lock.taken(f"{name} {address}")
    if lock is None:
        return _show_the_first(options, address, name)
    sys.setswitchinterval(SWITCH_SECONDS)
    post = Post()

    def offered(is_ours: bool) -> None:
        if not is_ours:
            doorbell.is_second = True
            instance.ask_first(line, name, options.page, _token(), lambda answer: doorbell.go())

    line = bus.Line(
        post,
        bus_address=address,
        offer=instance.offer(name, lambda page, token: doorbell.answer(page, token)),
        offered=offered,
    )
    line.start()
    try:
        return _drawn(Started(options, line, post, doorbell))
    finally:
        line.close()
        line.join(1.0)
        lock.free()


def _drawn(started: Started) -> int:
    """By Qt, where that can be; else by GTK."""
    if not started.options.is_light:
        try:
            _must_have_display()
            lean.without_sources()
            from postroad_tray import qt_program

            return qt_program.run(started)
        except ImportError as error:
            why = _("Qt cannot be loaded ({why}).").format(why=error)
        except NotHere as error:
            why = str(error)
        if started.options.is_window or not started.options.has_icon:
            return _failed(f"{why} " + _("Without it there is no window."))
        tell(f"{why} " + _("The light icon takes its place."))
    from postroad_tray import light_program

    return light_program.run(started)


def _must_have_display(variables: Mapping[str, str] = os.environ) -> None:
    if not any(variables.get(name) for name in DISPLAYS):
        raise NotHere(_("There is no display here: this is no desktop session."))


def _show_the_first(options: Options, address: str, name: str) -> int:
    """There is one already."""
    from postroad_tray import bus

    if options.in_background:
        return 0
    answers: list[Answer] = []
    post = Post()
    line = bus.Line(post, bus_address=address)
    line.start()
    instance.ask_first(line, name, options.page, _token(), answers.append)
    post.until(lambda: bool(answers), instance.ACTIVATE_SECONDS + 1.0, time.monotonic)
    line.close()
    line.join(1.0)
    if answers and answers[0].is_good:
        return 0
    return _failed(
        _("It runs already, but does not answer. End it (pkill postroad-tray), and start it again.")
    )


def _failed(sentence: str) -> int:
    tell(sentence)
    return FAILED


def tell(sentence: str) -> None:
    """Whoever has started us."""
    print(f"{PROGRAM}: {sentence}", file=sys.stderr, flush=True)  # noqa: T201


def _token() -> str:
    """Of the click that has started us: with it the window may come to the front."""
    return os.environ.get("XDG_ACTIVATION_TOKEN", "")


def again(*more: str) -> list[str]:
    """The command that starts this program once more, with these words."""
    typed = len(sys.argv) - 1
    return [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - typed], *more]
