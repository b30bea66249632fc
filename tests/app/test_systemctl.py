"""Asking systemd has an end, which is told as what it is."""

from __future__ import annotations

import configparser

import pytest

from postroad.app import systemctl, units
from postroad.base.errors import ConfigurationError


def test_what_does_not_end_is_told_with_where_to_look() -> None:
    with pytest.raises(ConfigurationError, match=r"^sleep 60 did not end.*postroad log$"):
        systemctl.command("sleep", "60", seconds_max=0.01)


def test_a_restart_at_the_limits_of_the_unit_is_waited_for() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read_string(units.text("postroad.service"))
    limits = [unit.getfloat("Service", name) for name in ("TimeoutStopSec", "TimeoutStartSec")]
    assert sum(limits) < systemctl.COMMAND_SECONDS_MAX
