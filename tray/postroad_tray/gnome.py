"""GNOME, whose panel shows no icons of programs without an extension.

Purpose: know whether an icon can be shown, what to say where it cannot, and what one button does
about it. What is said and done is decided here; a banner of the window shows it.
Invariants: nothing is installed by us; an extension is switched on only by the owner's click.
See: docs/adr/0029-tray.md; the interface is `org.gnome.Shell.Extensions`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from postroad_tray.client import Answer, Client, Question
from postroad_tray.tongue import _

SHELL = "org.gnome.Shell"
SHELL_PATH = "/org/gnome/Shell"
# The shell has it itself; the service of this name would be one more program to start, with GTK.
SHELL_INTERFACE = "org.gnome.Shell.Extensions"
# Debian and Ubuntu have the first; the second is the one from extensions.gnome.org.
EXTENSIONS = ("ubuntu-appindicators@ubuntu.com", "appindicatorsupport@rgcjonas.gmail.com")
PACKAGE = "gnome-shell-extension-appindicator"
ASK_SECONDS = 3.0


class Icons(StrEnum):
    """Why no icon is shown."""

    TO_ENABLE = "to-enable"  # the extension is there, and off
    TO_INSTALL = "to-install"
    AFTER_LOGIN = "after-login"  # it is on, and the running shell does not know it yet


@dataclass(frozen=True, slots=True)
class Advice:
    """A banner: a sentence, and a button where a click can do something; `line` is to be typed."""

    sentence: str
    button: str = ""
    line: str = ""


def is_gnome(variables: Mapping[str, str] = os.environ) -> bool:
    return "GNOME" in variables.get("XDG_CURRENT_DESKTOP", "").split(":")


def icons(told: object) -> Icons:
    """From the answer of ListExtensions: what each extension is, by its name."""
    known = told if isinstance(told, Mapping) else {}
    ours = [known[name] for name in EXTENSIONS if isinstance(known.get(name), Mapping)]
    if not ours:
        return Icons.TO_INSTALL
    return Icons.AFTER_LOGIN if any(_is_enabled(one) for one in ours) else Icons.TO_ENABLE


def _is_enabled(told: Mapping[str, Any]) -> bool:
    """`enabled` is what its owner wants; older shells only tell its state, 1 where it runs."""
    return told.get("enabled") is True or told.get("state") == 1


def advice(what: Icons) -> Advice:
    match what:
        case Icons.TO_ENABLE:
            return Advice(
                _("GNOME shows the icon of Postroad once an extension is switched on."),
                _("Switch it on"),
            )
        case Icons.TO_INSTALL:
            return Advice(
                _(
                    "GNOME shows no icons of programs by itself. For that of Postroad install the "
                    "package {package}, then log out and in again. Until then the window and "
                    "notifications tell how your mail is."
                ).format(package=PACKAGE),
                _("Copy the command"),
                f"sudo apt install {PACKAGE}",
            )
        case Icons.AFTER_LOGIN:
            return Advice(_("The icon of Postroad comes once you have logged out and in again."))


class Adviser:
    """What to say of the icon on this desktop: told anew when something has changed."""

    def __init__(
        self,
        client: Client,
        has_host: Callable[[], bool],
        show: Callable[[Advice | None], None],
        *,
        variables: Mapping[str, str] = os.environ,
    ) -> None:
        """`has_host`: whether something shows icons now."""
        self._client = client
        self._has_host = has_host
        self._show = show
        self._is_gnome = is_gnome(variables)

    def look(self) -> None:
        if not self._is_gnome or self._has_host():
            self._show(None)
            return

        def told(answer: Answer) -> None:
            # A shell that does not say is one that lets nobody switch extensions on.
            self._show(None if self._has_host() else advice(icons(answer.value)))

        self._client.ask(_question("ListExtensions"), told)

    def enable(self) -> None:
        """Have it switched on, the first of ours that is there."""
        left = list(EXTENSIONS)

        def told(answer: Answer) -> None:
            if answer.value is not True and left:
                self._client.ask(_question("EnableExtension", "s", left.pop(0)), told)
            else:
                self.look()

        told(Answer())


def _question(member: str, signature: str = "", *body: str) -> Question:
    return Question(member, signature, body, SHELL_PATH, SHELL_INTERFACE, SHELL, ASK_SECONDS)
