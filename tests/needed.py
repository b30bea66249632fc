"""Programs that tests drive: all of them are in `dev.PROGRAMS`, so `make test` can install them."""

from __future__ import annotations

import pytest

import dev


def needs(*programs: str) -> pytest.MarkDecorator:
    """The test is for machines that have these."""
    return pytest.mark.skipif(bool(dev.lacking(*programs)), reason=_why(dev.lacking(*programs)))


def skip_without(*programs: str) -> None:
    """Leave the test out, saying what to install, where one of these is not here."""
    if packages := dev.lacking(*programs):
        pytest.skip(_why(packages))


def _why(packages: list[str]) -> str:
    return f"needs Debian packages: {', '.join(packages)}"
