"""Text that came from outside, made fit to be shown: plain, of one direction, and not too long.

Purpose: names, reasons and sentences reach the tray over the bus, and some of their words were
chosen by strangers.
Invariants: what comes out has no control and no character that reorders its neighbours (Unicode
TR 36 section 3.2, bidirectional text spoofing), no line break where one line is meant, no letter
that looks like nothing, on each no more marks than a language has, and is at most as long as was
asked, counted in characters; the last one is then an ellipsis. What is put into a sentence of ours
is put in `apart`.
"""

from __future__ import annotations

import re
import unicodedata

LINE_MAX = 200
PARAGRAPH_MAX = 2000
MIDDLE_BEGINS, MIDDLE_ENDS = 16, 13  # characters: of an address the name, and `@postroad.alt`
_ELLIPSIS = "…"
# Cc control, Cf format (bidirectional marks, embeddings, overrides and isolates, joiners of no
# width, tags, soft hyphen), Cs surrogate, Co private use, Zl and Zp separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters and signs that show nothing, as wide as a blank: fillers of Hangul, the empty sign of
# Braille, a note without a head.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")
# And of no width, which their categories do not tell (Default_Ignorable_Code_Point).
_NO_WIDTH = frozenset(
    (0x034F, 0x17B4, 0x17B5, 0x2065, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
).union(range(0xFFF0, 0xFFF9))
_TAGS = range(0xE0000, 0xE1000)
# Marks above and below a letter; a tower of them would cover the lines around it.
_MARKS = frozenset({"Mn", "Mc", "Me"})
MARKS_MAX = 4  # on one letter: Hebrew and Tibetan have so many
_FROM_THE_RIGHT = frozenset({"R", "AL", "AN"})  # bidirectional classes: letters, digits
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def line(text: object, length_max: int = LINE_MAX) -> str:
    """One line of it; nothing, where it is no text."""
    if not isinstance(text, str):
        return ""
    # What is cut away is not looked at: a megabyte costs no more than a line.
    shown = text[: 4 * length_max]
    if not (shown.isascii() and shown.isprintable()):  # as most are, with nothing to look for
        shown = _with_few_marks("".join(map(_seen, shown)))
    return _shortened(" ".join(shown.split()), length_max, is_cut=len(text) > 4 * length_max)


def sentences(text: str, length_max: int) -> str:
    """One line of sentences, in which names are `apart` already and stay it, however it is cut: no
    isolate is in another one, and each has its end."""
    pieces = re.split(f"({_FIRST_STRONG_ISOLATE}|{_POP_ISOLATE})", text[: 4 * length_max])
    kept, is_open = [], False
    for one in pieces:
        if one in (_FIRST_STRONG_ISOLATE, _POP_ISOLATE):
            if is_open is (one == _POP_ISOLATE):
                kept.append(one)
                is_open = not is_open
        else:
            kept.append("".join(map(_seen, one)))
    is_cut = len(text) > 4 * length_max
    shown = " ".join(_with_few_marks("".join(kept)).split())
    shown = _shortened(shown, length_max, is_cut)
    if _is_open(shown):  # cut off in a name
        shown = _shortened(shown, length_max - 1, is_cut)
        shown += _POP_ISOLATE if _is_open(shown) else ""
    return shown


def _is_open(text: str) -> bool:
    return text.count(_FIRST_STRONG_ISOLATE) > text.count(_POP_ISOLATE)


def paragraph(text: object, length_max: int = PARAGRAPH_MAX) -> str:
    """It, with its line breaks."""
    if not isinstance(text, str):
        return ""
    lines = [line(one, length_max) for one in text[: 4 * length_max].splitlines()]
    return _shortened("\n".join(lines).strip(), length_max, is_cut=len(text) > 4 * length_max)


def middle(text: str) -> str:
    """Its beginning and its end, where it is long."""
    if len(text) <= MIDDLE_BEGINS + 1 + MIDDLE_ENDS:
        return text
    return f"{text[:MIDDLE_BEGINS]}{_ELLIPSIS}{text[-MIDDLE_ENDS:]}"


def apart(text: str) -> str:
    """A name, to be put into a sentence of ours, which runs from the left to the right: letters
    that run the other way would take digits and signs beside them along (UAX 9, isolates)."""
    if any(unicodedata.bidirectional(one) in _FROM_THE_RIGHT for one in text):
        return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
    return text


def escaped(text: str) -> str:
    """With nothing in it that could be read as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _seen(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029" or character in _BLANK:
        return " "
    if ord(character) in _NO_WIDTH or ord(character) in _TAGS:
        return ""
    if unicodedata.category(character) in _HIDDEN:
        return ""
    return character


def _with_few_marks(text: str) -> str:
    """And with none where there is no letter for it: it would stand on what is in front of it."""
    kept, count = [], MARKS_MAX
    for one in text:
        if unicodedata.category(one) in _MARKS:
            count += 1
        else:
            count = MARKS_MAX if one == " " else 0
        if count <= MARKS_MAX:
            kept.append(one)
    return "".join(kept)


def _shortened(text: str, length_max: int, is_cut: bool) -> str:
    if len(text) <= length_max and not is_cut:
        return text
    return text[: length_max - 1].rstrip() + _ELLIPSIS
