"""A door that is open, and quick to refuse whoever has a wrong password."""

from collections.abc import Iterator

import pytest

from doors.submission_fixture import Office, opened
from postroad.base import limits


@pytest.fixture
def office() -> Iterator[Office]:
    with opened() as office:
        yield office


@pytest.fixture(autouse=True)
def _quick_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGIN_FAILURE_SECONDS", 0.05)
