#!/usr/bin/env python3
"""The catalogues of translations: from the sources to .po, and from there to what gettext reads.

Purpose: what `_("...")` and `many("...", "...", n)` say in the tray and the command line, `phrase`
and `counted` in the service, and what commands say of themselves, is found in their syntax trees,
written into packaging/po/postroad.pot, and merged into each language there; GNU gettext's own tools
know nothing of docstrings of ours, and would be one more thing to install.
Invariants: the same tree gives the same bytes; a translation stays as long as its sentence does,
and goes with it (git remembers). Standard library only.

    tools/catalogues.py update            the template and each language, made anew
    tools/catalogues.py compile FOLDER    FOLDER/LANGUAGE/LC_MESSAGES/postroad.mo
See: the GNU gettext manual, "The Format of PO Files" and "The Format of GNU MO Files".
"""

from __future__ import annotations

import argparse
import ast
import struct
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PO = ROOT / "packaging" / "po"
TEMPLATE = "postroad.pot"
DOMAIN = "postroad"
SOURCES = ("tray/postroad_tray", "service/postroad")
TONGUES = ("tongue", "phrases")  # where the functions come from that say something
LINE_MAX = 78
MAGIC = 0x950412DE
HEADER = """\
Project-Id-Version: postroad
Language: {language}
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
"""
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_MEANT = {"\\": "\\", '"': '"', "n": "\n", "t": "\t"}


class Wrong(Exception):
    """A sentence that says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Message:
    one: str
    more: str = ""  # where it counts
    said: tuple[str, ...] = ()  # the translation, or one for each form of the plural
    places: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return bool(self.said) and all(self.said)


@dataclass(frozen=True, slots=True)
class Catalogue:
    header: str
    messages: tuple[Message, ...] = ()
    comments: str = ""  # those at the top

    @property
    def plurals(self) -> int:
        """How many forms this language has, as its header tells."""
        _before, found, after = self.header.partition("nplurals=")
        return int(after.partition(";")[0]) if found else 1


# --- out of the sources ---------------------------------------------------------------------------


def extracted(root: Path = ROOT, sources: Sequence[str] = SOURCES) -> tuple[Message, ...]:
    """All that is said, in the order of the files."""
    found: dict[str, Message] = {}
    for path in sorted(one for source in sources for one in (root / source).rglob("*.py")):
        place = str(path.relative_to(root))
        tree = ast.parse(path.read_text())
        for message in (*_said_in(tree, place), *_helps_in(tree, place)):
            known = found.setdefault(message.one, message)
            if known.more != message.more:
                raise Wrong(f"{place}: {message.one!r} is said with and without a plural.")
            if place not in known.places:
                found[message.one] = replace(known, places=(*known.places, place))
    return tuple(found.values())


def _said_in(tree: ast.AST, place: str) -> Iterator[Message]:
    speakers = {
        alias.name
        for one in ast.walk(tree)
        if isinstance(one, ast.ImportFrom) and (one.module or "").endswith(TONGUES)
        for alias in one.names
    }
    if Path(place).stem in TONGUES:  # they say something themselves, too
        speakers |= {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and _forms(one, speakers)]
    for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        forms = _forms(call, speakers)
        texts = [_text(one) for one in call.args[:forms]]
        if len(texts) < forms or not all(texts):
            raise Wrong(f"{place}:{call.lineno}: a literal is wanted, to be translated.")
        yield Message(texts[0] or "", "".join(map(str, texts[1:])), places=(place,))


def _forms(call: ast.Call, speakers: Collection[str]) -> int:
    """How many texts this says; `speakers`: what was imported from where such functions are."""
    name = ""
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        name = call.func.attr if call.func.value.id in TONGUES else ""
    elif isinstance(call.func, ast.Name):
        name = call.func.id if call.func.id in speakers else ""
    return {"_": 1, "later": 1, "phrase": 1, "many": 2, "counted": 2}.get(name, 0)


def _helps_in(tree: ast.Module, place: str) -> Iterator[Message]:
    """What commands say of themselves: the docstrings below `@....command` and `@....group`."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        calls = [one.func for one in node.decorator_list if isinstance(one, ast.Call)]
        names = {one.attr for one in calls if isinstance(one, ast.Attribute)}
        if names & {"command", "group"} and (text := ast.get_docstring(node)):
            yield Message(text, places=(place,))


def _text(node: ast.expr) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if is_text and isinstance(node, ast.Constant) else None


# --- .po ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Entry:
    texts: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)

    def message(self) -> Message:
        said = [text for key, text in self.texts.items() if key.startswith("msgstr")]
        more = self.texts.get("msgid_plural", "")
        is_said = any(said)
        return Message(
            self.texts["msgid"], more, tuple(said) if is_said else (), tuple(self.places)
        )


def read(path: Path) -> Catalogue:
    """What stands in such a file."""
    entries = [_Entry()]
    comments: list[str] = []
    key = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("#"):
            if "msgstr" in "".join(entries[-1].texts):
                entries.append(_Entry())
            if line.startswith("#: "):
                entries[-1].places.append(line[3:])
            elif len(entries) == 1 and not entries[0].texts:
                comments.append(line)
            continue
        word, _space, rest = line.partition(" ")
        if word.startswith("msg"):
            if word == "msgid" and "msgid" in entries[-1].texts:
                entries.append(_Entry())
            key, line = word, rest
        if line:
            if not key or not (line.startswith('"') and line.endswith('"') and len(line) > 1):
                raise Wrong(f"{path.name}:{number}: this is no line of a catalogue: {line}")
            texts = entries[-1].texts
            texts[key] = texts.get(key, "") + _unquoted(line[1:-1])
    messages = [one.message() for one in entries if "msgid" in one.texts]
    if not messages or messages[0].one:
        raise Wrong(f"{path.name}: a catalogue begins with its header.")
    return Catalogue("".join(messages[0].said), tuple(messages[1:]), "\n".join(comments))


def written(catalogue: Catalogue) -> str:
    """The file, as it is kept."""
    blocks = [f'{catalogue.comments}\nmsgid ""\nmsgstr {_quoted(catalogue.header)}\n']
    for one in catalogue.messages:
        lines = [f"#: {place}" for place in one.places]
        if "{" in one.one + one.more:
            lines.append("#, python-brace-format")
        lines.append(f"msgid {_quoted(one.one)}")
        if one.more:
            lines.append(f"msgid_plural {_quoted(one.more)}")
            forms = one.said or ("",) * max(catalogue.plurals, 1)
            lines += [f"msgstr[{number}] {_quoted(text)}" for number, text in enumerate(forms)]
        else:
            lines.append(f"msgstr {_quoted(one.said[0] if one.said else '')}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def merged(language: Catalogue, template: Sequence[Message]) -> Catalogue:
    """The sentences of the template, with what this language says for them already."""
    known = {(one.one, one.more): one.said for one in language.messages}
    return replace(
        language,
        messages=tuple(replace(one, said=known.get((one.one, one.more), ())) for one in template),
    )


def _quoted(text: str) -> str:
    """In lines of a bearable length, each of which ends behind a space or a line break."""
    pieces = [""]
    for word in text.replace("\n", "\n\0").replace(" ", " \0").split("\0"):
        is_full = len(_escaped(pieces[-1] + word)) + 2 > LINE_MAX or pieces[-1].endswith("\n")
        if pieces[-1] and word and is_full:
            pieces.append("")
        pieces[-1] += word
    if len(pieces) > 1:
        pieces.insert(0, "")
    return "\n".join(f'"{_escaped(one)}"' for one in pieces)


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(one, one) for one in text)


def _unquoted(text: str) -> str:
    characters = iter(text)
    return "".join(
        _MEANT[next(characters)] if one == "\\" else one for one in characters
    )  # a file of ours has no other escapes


# --- .mo ------------------------------------------------------------------------------------------


def compiled(catalogue: Catalogue) -> bytes:
    """What gettext reads: the same bytes as `msgfmt --no-hash` makes."""
    texts = {"": catalogue.header}
    for one in catalogue.messages:
        if one.is_whole:
            key = f"{one.one}\0{one.more}" if one.more else one.one
            texts[key] = "\0".join(one.said)
    pairs = sorted((key.encode(), said.encode()) for key, said in texts.items())
    tables = 7 * 4
    at = tables + 2 * 8 * len(pairs)
    index, bodies = b"", b""
    for column in (0, 1):
        for pair in pairs:
            index += struct.pack("<2I", len(pair[column]), at + len(bodies))
            bodies += pair[column] + b"\0"
    middle = tables + 8 * len(pairs)
    return struct.pack("<7I", MAGIC, 0, len(pairs), tables, middle, 0, at) + index + bodies


# --- files ----------------------------------------------------------------------------------------


def languages(folder: Path = PO) -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.po"))}


def template(messages: Sequence[Message]) -> Catalogue:
    header = HEADER.format(language="") + "Plural-Forms: nplurals=2; plural=n != 1;\n"
    comments = "# What Postroad says, for translators: packaging/po/README.md.\n#, fuzzy"
    return Catalogue(header, tuple(messages), comments)


def update(folder: Path = PO) -> list[str]:
    """Make the template and each language anew; a line about each."""
    messages = extracted()
    (folder / TEMPLATE).write_text(written(template(messages)))
    told = [f"{TEMPLATE}: {len(messages)} sentences"]
    for name, path in languages(folder).items():
        catalogue = merged(read(path), messages)
        path.write_text(written(catalogue))
        lacking = sum(not one.is_whole for one in catalogue.messages)
        told.append(f"{path.name}: {lacking} of them to translate" if lacking else f"{name}: whole")
    return told


def compile_into(target: Path, folder: Path = PO) -> list[Path]:
    """One file for each language, where gettext looks for it below `target`."""
    made = []
    for name, path in languages(folder).items():
        place = target / name / "LC_MESSAGES" / f"{DOMAIN}.mo"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(compiled(read(path)))
        made.append(place)
    return made


def compiled_here() -> Path:
    """Where a tree that is not installed has them: POSTROAD_CATALOGUES of what is started there."""
    place = ROOT / "build" / "locale"
    compile_into(place)
    return place


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The catalogues of translations.")
    parser.add_argument("what", choices=("update", "compile"))
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "locale")
    asked = parser.parse_args(words)
    try:
        if asked.what == "update":
            print("\n".join(update()))
        else:
            print("\n".join(map(str, compile_into(asked.folder))))
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
