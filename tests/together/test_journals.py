"""What all of them wrote into their journals: no traceback, and no warning of ours."""

import re

import pytest

from system import journals
from together.computers import OWNERS, Computer

# What test_killed does on purpose, as systemd says it.
KILLED = re.compile(r"Main process exited, code=killed|Failed with result 'signal'")


@pytest.mark.parametrize("name", list(OWNERS.values()))
def test_there_is_no_traceback_and_no_warning_of_ours(
    computers: dict[str, Computer], name: str
) -> None:
    system = computers[name].system
    assert journals.tracebacks(system) == []
    assert journals.warnings_of_ours(system, [journals.Chapter("", 0.0, KILLED)]) == []
