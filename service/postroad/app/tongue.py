"""What a person reads at the command line, in their language: the catalogue that the tray has, too.

Purpose: the help of a command, whose source is its docstring; and `later("...")` for a word whose
translation is `said` where it is shown.
Invariants: English is in the source, so that whatever a catalogue lacks is English. Nothing is
translated before `speak`: what makes manual pages from the same commands has them in English.
JSON has no language.
See: packaging/po/README.md, which says what is not translated.
"""

import gettext
import inspect
import os

import click

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
