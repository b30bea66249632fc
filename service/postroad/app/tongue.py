"""What a person reads at the command line, in their language: the catalogue that the tray has, too.

Purpose: `_("...")` for a sentence, `many("{n} letter", "{n} letters", n)` for one that counts;
`later("...")` for a word whose translation is `said` where it is shown; `shown` and `retold` for
what the service says in parts; the help of a command, whose source is its docstring.
Invariants: English is in the source, so that whatever a catalogue lacks is English. What is put
into a sentence is put in after its translation. Nothing is translated before `speak`: what makes
manual pages from the same commands has them in English. JSON has no language.
See: packaging/po/README.md, which says what is not translated.
"""

import gettext
import inspect
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from postroad import phrases

DOMAIN = "postroad"
CATALOGUES = "/usr/share/locale"
_catalogue = gettext.NullTranslations()


def speak() -> None:
    """Take the catalogue of the languages that the environment names (LANGUAGE, LC_ALL,
    LC_MESSAGES, LANG); POSTROAD_CATALOGUES names another folder, where nothing is installed."""
    global _catalogue
    folder = os.environ.get("POSTROAD_CATALOGUES") or CATALOGUES
    _catalogue = gettext.translation(DOMAIN, folder, fallback=True)


def said(sentence: str) -> str:
    """In that language."""
    return _catalogue.gettext(sentence) if sentence else ""


def _(sentence: str) -> str:
    return _catalogue.gettext(sentence)


def many(one: str, more: str, n: int) -> str:
    """The form of the sentence for so many, with {n} in it replaced."""
    return _catalogue.ngettext(one, more, n).replace("{n}", str(n))


def shown(text: str) -> str:
    """In that language, where its parts are known; else as it is."""
    return phrases.said(text, _, many)


def retold(told: Mapping[str, Any], name: str) -> str:
    """The sentences that are called so in an answer of the node."""
    return shown(phrases.heard(str(told[name]), told.get(f"{name}_parts")))


def number(value: float, digits: int) -> str:
    """With so many digits behind the point, or the comma."""
    whole, point, part = f"{value:.{digits}f}".partition(".")
    return _("{whole}.{part}").format(whole=whole, part=part) if point else whole


def grouped(count: int) -> str:
    """With a comma, or a point, between each three digits."""
    return f"{count:,}".replace(",", _(","))


def moment(at: float) -> str:
    """Day and time here."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime(_("%Y-%m-%d %H:%M"))


def later(sentence: str) -> str:
    """It, as it stands, for whoever collects what is to be translated."""
    return sentence


def help_of(command: click.Command) -> None:
    """Have it told in that language."""
    command.help = said(inspect.cleandoc(command.help or ""))


def all_help_of(command: click.Command) -> None:
    """And all that is below it."""
    help_of(command)
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        all_help_of(one)
