"""What a person reads, in their language: gettext's catalogue `postroad`, which the CLI has, too.

Purpose: `_("...")` for a sentence, `many("{n} letter", "{n} letters", n)` for one that counts,
`number(2.5, 1)` for what is measured.
Invariants: English is in the source, so that a missing catalogue, or a missing sentence in one, is
English and never an empty place. What is put into a sentence is put in after its translation.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

DOMAIN = "postroad"
CATALOGUES = Path("/usr/share/locale")
_said: gettext.NullTranslations = gettext.NullTranslations()
_point = "."


def speak(languages: list[str] | None = None, catalogues: Path | None = None) -> None:
    """Take the catalogue of these languages, by default those of the environment (LANGUAGE, LC_ALL,
    LC_MESSAGES, LANG); POSTROAD_CATALOGUES names another folder, where nothing is installed."""
    global _said
    folder = catalogues or Path(os.environ.get("POSTROAD_CATALOGUES") or CATALOGUES)
    _said = gettext.translation(DOMAIN, folder, languages, fallback=True)


def _(sentence: str) -> str:
    return _said.gettext(sentence)


def many(one: str, more: str, n: int) -> str:
    """The form of the sentence for so many, with {n} in it replaced."""
    return _said.ngettext(one, more, n).replace("{n}", str(n))


def language() -> str:
    """Of the catalogue that was found, `de`; empty where there is none, and all is English."""
    return _said.info().get("language", "")


def write_numbers(point: str) -> None:
    """With this between the whole and its parts; whoever draws knows the desktop's."""
    global _point
    _point = point


def number(value: float, digits: int) -> str:
    """With so many digits behind the point, or the comma."""
    return f"{value:.{digits}f}".replace(".", _point)
