"""Text that came from outside, made fit to be shown: plain, of one direction, and not too long.

Purpose: names, reasons and sentences reach the tray over the bus, and some of their words were
chosen by strangers.
Invariants: what comes out has no control and no character that reorders its neighbours (Unicode
TR 36 section 3.2, bidirectional text spoofing), no line break where one line is meant, and is at
most as long as was asked, counted in characters; the last one is then an ellipsis.
"""

from __future__ import annotations

import unicodedata

LINE_MAX = 200
PARAGRAPH_MAX = 2000
_ELLIPSIS = "…"
# Cc control, Cf format (bidirectional marks, embeddings, overrides and isolates, joiners of no
# width, tags, soft hyphen), Cs surrogate, Co private use, Zl and Zp separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def line(text: object, length_max: int = LINE_MAX) -> str:
    """One line of it; nothing, where it is no text."""
    if not isinstance(text, str):
        return ""
    # What is cut away is not looked at: a megabyte costs no more than a line.
    shown = "".join(_seen(one) for one in text[: 4 * length_max])
    return _shortened(" ".join(shown.split()), length_max, is_cut=len(text) > 4 * length_max)


def paragraph(text: object, length_max: int = PARAGRAPH_MAX) -> str:
    """It, with its line breaks."""
    if not isinstance(text, str):
        return ""
    lines = [line(one, length_max) for one in text[: 4 * length_max].splitlines()]
    return _shortened("\n".join(lines).strip(), length_max, is_cut=len(text) > 4 * length_max)


def _seen(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    return "" if unicodedata.category(character) in _HIDDEN else character


def _shortened(text: str, length_max: int, is_cut: bool) -> str:
    if len(text) <= length_max and not is_cut:
        return text
    return text[: length_max - 1].rstrip() + _ELLIPSIS
