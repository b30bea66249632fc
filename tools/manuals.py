#!/usr/bin/env python3
"""Write the manual pages and the shells' completions, out of the command line as it is.

Purpose: what `man postroad`, `man postroad-queue` and a TAB show is what `postroad --help` says,
from the same words. Needs click and the rooms of the service on its path, and nothing else.
Invariants: nothing but the given folder is written; the same tree gives the same bytes.

    tools/manuals.py FOLDER         FOLDER/man1/*.1, FOLDER/bash/postroad, FOLDER/zsh/_postroad and
                                    FOLDER/fish/postroad.fish
    tools/manuals.py --page FILE    the second part of docs/cli.md, behind its mark
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from postroad import __version__
from postroad.app.answers import ANSWERS, fields_of
from postroad.app.cli import main as postroad
from postroad.app.program import EXIT_CODES
from postroad.app.shapes import Field

MARK = "<!-- What follows is written by: python3 tools/manuals.py --page docs/cli.md -->\n"
COMPLETIONS = {"bash": "postroad", "zsh": "_postroad", "fish": "postroad.fish"}
FILES = {
    "~/.config/postroad/config.toml": "What you configured; setup writes every key with what it "
    "is.",
    "/etc/postroad/policy.toml": "The widest that an administrator lets users of this computer "
    "choose; see postroad policy.",
    "~/.local/share/postroad": "Your keys and your mail. No other user can read them.",
    "$XDG_RUNTIME_DIR/postroad/control": "The socket at which your running node is asked.",
}


def write(folder: Path) -> list[Path]:
    """Make the files anew; their paths."""
    pages = {"postroad": overview()}
    pages |= {f"postroad-{name}": page(name) for name in shown(postroad)}
    written = []
    for name, text in pages.items():
        written.append(_write(folder / "man1" / f"{name}.1", text))
    for shell, file in COMPLETIONS.items():
        written.append(_write(folder / shell / file, completion(shell)))
    return written


def shown(group: click.Group) -> dict[str, click.Command]:
    found = sorted(group.commands.items())
    return {name: command for name, command in found if not command.hidden}


def completion(shell: str) -> str:
    """What a shell reads so that TAB asks `postroad` itself."""
    made = get_completion_class(shell)
    assert made is not None
    # Not its own `source`: that of bash starts a bash to ask for its version.
    return ShellComplete.source(made(postroad, {}, "postroad", "_POSTROAD_COMPLETE"))


# --- pages ----------------------------------------------------------------------------------------


def overview() -> str:
    lines = [*_head("postroad", "email with no mail server")]
    lines += [".SH SYNOPSIS", ".B postroad", r"[\fB\-\-config\fR \fIFILE\fR] \fICOMMAND\fR ..."]
    lines += [".SH DESCRIPTION", *_paragraphs(_ABOUT), ".SH OPTIONS", *_options(postroad)]
    lines += [".SH COMMANDS", "Each has a page of its own, such as", r".BR postroad\-queue (1)."]
    for title, names in postroad.by_section().items():
        lines += [f".SS {_safe(title)}"]
        for name in names:
            lines += _told(name, _purpose(postroad.commands[name]))
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += _told(str(code), meaning)
    lines += [".SH FILES"]
    for path, what in FILES.items():
        lines += _told(path, what)
    lines += [".SH SEE ALSO", *_others()]
    return "\n".join(lines) + "\n"


def page(name: str) -> str:
    """The page of one command, and of those below it."""
    command = postroad.commands[name]
    path = f"postroad {name}"
    lines = [*_head(f"postroad-{name}", _purpose(command))]
    lines += [".SH SYNOPSIS", *_synopsis(command, path)]
    below = shown(command) if isinstance(command, click.Group) else {}
    for each, one in below.items():
        lines += [".br", *_synopsis(one, f"{path} {each}")]
    lines += [".SH DESCRIPTION", *_paragraphs(command.help or "")]
    if command.params:
        lines += [".SH OPTIONS", *_options(command)]
    for each, one in below.items():
        lines += [f".SH {_safe(f'{path} {each}'.upper())}", *_paragraphs(one.help or "")]
        lines += _options(one)
    lines += [".SH EXIT STATUS", "As of all commands, see", ".BR postroad (1)."]
    lines += [".SH SEE ALSO", *_others(name)]
    return "\n".join(lines) + "\n"


_ABOUT = """\
Your node is one program that you run: it takes letters from your mail program by SMTP, seals them,
and hands them to the recipient's node, or to peers that keep them until it wakes. Letters that come
in are read by IMAP, or fetched by POP3. All three are on this computer only.

These commands set it up and ask it. With --json a command answers with one JSON object and asks
nothing; `postroad schema COMMAND` prints its form."""


def _head(name: str, purpose: str) -> list[str]:
    title = _safe(name.upper())
    purpose = purpose.rstrip(".")
    said = purpose[:1].lower() + purpose[1:]
    return [
        f'.TH "{title}" "1" "" "postroad {__version__}" "Postroad"',
        ".SH NAME",
        f"{_safe(name)} \\- {_safe(said)}",
    ]


def _others(but: str = "") -> list[str]:
    names = [f"postroad-{name}" for name in shown(postroad)]
    wanted = ["postroad"] if but else names
    return [f".BR {_safe(name)} (1){',' if name != wanted[-1] else ''}" for name in wanted]


def _purpose(command: click.Command) -> str:
    return command.get_short_help_str(200)


def _synopsis(command: click.Command, path: str) -> list[str]:
    context = click.Context(command, info_name=path)
    pieces = " ".join(command.collect_usage_pieces(context))
    return [f"\\fB{_safe(path)}\\fR {_safe(pieces)}"]


def _options(command: click.Command) -> list[str]:
    lines: list[str] = []
    context = click.Context(command)
    for one in command.params:  # without --help, which the reader has found a better way than
        record = one.get_help_record(context)
        if record is not None and record[1]:
            lines += _told(*record)
    return lines


def _told(what: str, about: str) -> list[str]:
    return [".TP", f"\\fB{_safe(what)}\\fR", *_line(about)]


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.replace("\b\n", "").strip().split("\n\n")):
        if number:
            yield ".PP"
        yield from _line(" ".join(paragraph.split()))


def _line(text: str) -> list[str]:
    text = _safe(text)
    return [f"\\&{text}" if text[:1] in (".", "'") else text]


def _safe(text: str) -> str:
    """The text as roff shows it: a hyphen that can be copied, no escape of its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return re.sub("`([^`]+)`", r"\\fB\1\\fR", text)


# --- the page -------------------------------------------------------------------------------------


def with_reference(page: str) -> str:
    """The page of the command line, with what stands behind the mark made anew."""
    head, mark, _ = page.partition(MARK)
    assert mark, "the page has lost its mark"
    return head + mark + "\n".join(_reference()) + "\n"


def _reference() -> Iterator[str]:
    for title, names in postroad.by_section().items():
        yield from ("", f"## {title}")
        for name in names:
            yield from _entry(name, postroad.commands[name])


def _entry(path: str, command: click.Command) -> Iterator[str]:
    pieces = " ".join(command.collect_usage_pieces(click.Context(command, info_name=path)))
    yield from ("", f"### `postroad {path} {pieces}`".replace(" [OPTIONS]", ""))
    for paragraph in (command.help or "").strip().split("\n\n"):
        yield from ("", " ".join(paragraph.split()))
    records = [one.get_help_record(click.Context(command)) for one in command.params]
    options = [one for one in records if one is not None and one[1] and "--json" not in one[0]]
    if options:
        yield from ("", "| option | |", "|---|---|")
        yield from (f"| `{_cell(what)}` | {_cell(about)} |" for what, about in options)
    for number, shape in enumerate(ANSWERS.get(path, ())):
        if shape:
            yield from ("", f"{'or ' if number else ''}answers:", "", "| field | type | |")
            yield "|---|---|---|"
            yield from (
                f"| `{name}` | {_type(one)} | {_cell(one.about)} |"
                for name, one in fields_of(shape)
            )
    if isinstance(command, click.Group):
        for name, below in shown(command).items():
            yield from _entry(f"{path} {name}", below)


def _type(one: Field) -> str:
    inside = one.items
    name = {"array": "list", "integer": "whole number", "boolean": "true or false"}.get(
        one.kind, one.kind or "any"
    )
    if one.choices:
        name = ", ".join(f"`{choice}`" for choice in one.choices)
    if inside is not None and not inside.fields:
        name = f"list of {_type(inside)}"
    return name + (", or null" if one.is_null_too else "") + ("; or absent" * one.is_left_out_too)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--page", file]:
            Path(file).write_text(with_reference(Path(file).read_text("utf-8")), "utf-8")
        case [folder]:
            print(f"{len(write(Path(folder)))} files are in {folder}")
        case _:
            sys.exit("usage: tools/manuals.py FOLDER, or --page FILE")
