"""What a person reads, in their language: gettext's catalogue `postroad`, which the CLI has, too.

Purpose: `_("...")` for a sentence, `many("{n} letter", "{n} letters", n)` for one that counts.
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
