"""Translations: nothing is forgotten between sources, catalogues, and what gettext reads."""

from __future__ import annotations

import gettext
import io
import re
import string
import subprocess
from pathlib import Path

import click
import pytest

import catalogues
from catalogues import Catalogue, Message
from needed import skip_without
from postroad.app.cli import main

LANGUAGES = catalogues.languages()
GROUPS = {
    name: set(one.commands) for name, one in main.commands.items() if isinstance(one, click.Group)
}


def test_the_template_is_what_the_sources_say() -> None:
    kept = (catalogues.PO / catalogues.TEMPLATE).read_text()
    ours = catalogues.written(catalogues.template(catalogues.extracted()))
    assert kept == ours, "Type `make translations`."


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_sentence_is_translated_with_all_that_is_put_into_it(name: str) -> None:
    language = catalogues.read(LANGUAGES[name])
    assert catalogues.merged(language, catalogues.extracted()) == language, "make translations"
    for one in language.messages:
        assert one.is_whole, f"packaging/po/{name}.po lacks: {one.one}"
        assert len(one.said) == (language.plurals if one.more else 1), one.one
        for text in one.said:
            assert commands(text) in (commands(one.one), commands(one.more)), one.one
            assert holes(text) in (holes(one.one), holes(one.more or one.one)), one.one
            assert text.count("&") == one.one.count("&"), one.one
            assert text == text.strip(), one.one


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_catalogue_is_kept_as_the_tool_writes_it(name: str) -> None:
    text = LANGUAGES[name].read_text()
    assert catalogues.written(catalogues.read(LANGUAGES[name])) == text


@pytest.mark.parametrize("name", LANGUAGES)
def test_it_is_compiled_as_gettext_would(name: str, tmp_path: Path) -> None:
    skip_without("msgfmt")
    theirs = tmp_path / "theirs.mo"
    command = ["msgfmt", "--check-format", "--check-domain", "--no-hash", "-o", str(theirs)]
    subprocess.run([*command, str(LANGUAGES[name])], check=True)
    assert catalogues.compiled(catalogues.read(LANGUAGES[name])) == theirs.read_bytes()


def test_what_is_compiled_is_read_and_what_is_not_said_yet_stays_english(tmp_path: Path) -> None:
    said = Message("One {a}", said=("Ein „{a}“\n",))
    counted = Message("{n} day", "{n} days", ("{n} Tag", "{n} Tage"))
    language = Catalogue(
        catalogues.HEADER.format(language="de") + "Plural-Forms: nplurals=2; plural=n != 1;\n",
        (said, counted, Message("Not yet")),
    )
    read = gettext.GNUTranslations(io.BytesIO(catalogues.compiled(language)))
    assert read.info()["language"] == "de"
    assert read.gettext("One {a}") == "Ein „{a}“\n"
    assert [read.ngettext("{n} day", "{n} days", n) for n in (0, 1, 2)] == [
        "{n} Tage", "{n} Tag", "{n} Tage",
    ]  # fmt: skip
    assert read.gettext("Not yet") == "Not yet"
    path = tmp_path / "de.po"
    path.write_text(catalogues.written(language))
    assert catalogues.read(path) == language


def test_a_changed_sentence_is_a_new_one_and_the_others_keep_what_is_said() -> None:
    language = Catalogue("", (Message("Old", said=("Alt",)), Message("Kept", said=("Blieb",))))
    now = (Message("New", places=("a.py",)), Message("Kept", places=("b.py",)))
    assert catalogues.merged(language, now).messages == (
        Message("New", places=("a.py",)),
        Message("Kept", said=("Blieb",), places=("b.py",)),
    )


@pytest.mark.parametrize(
    "source",
    [
        '_(f"{a}")',
        "_(name)",
        'many("{n} day", more, 3)',
        '_("one"); many("one", "two", 3)',
        'phrase(f"{a}")',
        'phrases.counted("{n} day", more, 3)',
    ],
)
def test_what_cannot_be_translated_is_refused_with_its_place(source: str, tmp_path: Path) -> None:
    imports = "from x.tongue import _, many\nfrom x.phrases import phrase"
    (tmp_path / "a.py").write_text(f"{imports}\n{source}\n")
    with pytest.raises(catalogues.Wrong, match=r"a\.py"):
        catalogues.extracted(tmp_path, ("",))


def test_a_broken_catalogue_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    path.write_text('msgid ""\nmsgstr ""\nBroken\n')
    with pytest.raises(catalogues.Wrong, match=r"de\.po:3"):
        catalogues.read(path)


def test_what_only_has_the_name_of_a_sayer_says_nothing(tmp_path: Path) -> None:
    source = "from x.phrases import phrase\nphrase('Said.')\npieces.counted(a, b)\nlater(task)\n"
    (tmp_path / "a.py").write_text(source)
    assert [one.one for one in catalogues.extracted(tmp_path, ("",))] == ["Said."]


def commands(text: str) -> list[str]:
    """What is to be typed, which is of no language."""
    typed = re.findall(r"postroad ([a-z-]+(?: [a-z-]+)?)", text)
    known = [one.split() for one in typed]
    return sorted(
        " ".join(words if set(words[1:]) & GROUPS.get(words[0], set()) else words[:1])
        for words in known
        if words[0] in main.commands
    )


def holes(text: str) -> set[str | None]:
    return {name for _text, name, _form, _how in string.Formatter().parse(text)} - {None}
