"""In which line of a TOML file each key stands: tomllib says that of faults of syntax alone.

Purpose: whoever mends a configuration is told where. Pure.
Invariant: for every text that tomllib reads, the keys found here are those of its outermost table.
See: toml.io, version 1.0.0.
"""

import re
import tomllib

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
# What a value is made of, where a bracket or the end of a line means what it says: comments and
# strings of the four kinds hide both.
_HIDING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    + r"'''.*?'{3,5}|"
    + r'"(?:[^"\\\n]|\\.)*"|'
    + r"'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")


def lines_of(text: str) -> dict[str, int]:
    """The keys of the outermost table, each with the line where it stands first, from 1."""
    found: dict[str, int] = {}
    at, line = 0, 1
    in_table = False
    while at < len(text):
        if blank := _BLANK.match(text, at):
            line += text.count("\n", at, blank.end())
            at = blank.end()
            continue
        is_head = text[at] == "["
        if is_head or not in_table:
            start = re.compile(r"[\[ \t]*").match(text, at)
            assert start is not None
            if key := _KEY.match(text, start.end()):
                found.setdefault(_name(key[0]), line)
        in_table = in_table or is_head
        end = _end_of_statement(text, at)
        line += text.count("\n", at, end)
        at = end
    return found


def _name(key: str) -> str:
    """A key as it is called, without its quotes and escapes."""
    if key[0] not in "\"'":
        return key
    return next(iter(tomllib.loads(f"{key} = 0")))


def _end_of_statement(text: str, at: int) -> int:
    """Behind the line in which the statement ends that begins here."""
    depth = 0
    while at < len(text):
        if hidden := _HIDING.match(text, at):
            at = hidden.end()
            continue
        if text[at] == "\n" and depth == 0:
            return at
        depth += (text[at] in "[{") - (text[at] in "]}")
        at += 1
    return at
