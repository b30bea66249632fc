"""What was written into the journal in all of this: no traceback, no warning, no secret."""

from booted import Booted
from system import journals
from system.journals import Chapter
from system.people import Resident


def test_there_is_no_traceback(system: Booted) -> None:
    assert journals.tracebacks(system) == []


def test_there_is_no_warning_but_of_what_was_done_on_purpose(
    system: Booted, chapters: list[Chapter]
) -> None:
    found = journals.warnings_of_ours(system, chapters)
    assert not found, "\n".join(f"{name}: {said}" for name, said in found)


def test_there_is_no_secret_and_no_subject(alice: Resident, bora: Resident, system: Booted) -> None:
    journal = system.journal("_SYSTEMD_USER_UNIT=postroad.service")
    for person in (alice, bora):
        assert person.password not in journal
    for subject in ("Lunch?", "before the kill", "waits through a reboot"):
        assert subject not in journal
