"""What stands in the log is one line for each event, whoever chose its words."""

from __future__ import annotations

import io
import logging

from postroad.app.log import Line


def told(text: str, *values: object, failing: Exception | None = None, **extra: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Line("%(levelname)s %(name)s: %(message)s"))
    log = logging.Logger("room")
    log.addHandler(handler)
    log.warning(text, *values, extra=extra, exc_info=failing)
    return stream.getvalue()


def test_a_line_has_its_facts_behind_it() -> None:
    assert (
        told("letter %s", "filed", size=7, mail="é") == "WARNING room: letter filed size=7 mail=é\n"
    )


def test_nobodys_words_begin_a_line_or_command_a_terminal() -> None:
    forged = "x\nINFO postroad.store.audit: audit log head=1:00\r\x1b[2J\u202e\x85\u2028y"
    for line in (told("said %s", forged), told("said", reason=forged)):
        assert line.count("\n") == 1
        assert line[:-1].isprintable()
        assert "x\\nINFO" in line


def test_a_traceback_keeps_its_lines_and_none_looks_like_an_event() -> None:
    try:
        raise ValueError("x\nINFO room: forged\x1b[2J")
    except ValueError as error:
        first, *others = told("failed", failing=error).splitlines()
    assert first == "WARNING room: failed"
    assert len(others) > 3
    assert all(line.startswith("  ") and line.isprintable() for line in others)
