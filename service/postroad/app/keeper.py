"""Who sees to it that the owner's node runs, found out without asking anybody.

Purpose: every sentence that says how to start a node names the line that works for this one.
"""

from pathlib import Path

from postroad.app import config as configuration
from postroad.app import service as services
from postroad.base.errors import ConfigurationError
from postroad.protocol.starting import Keeper


def of(control: Path) -> Keeper:
    """Of the node behind this control socket: a service is only the one of the usual file."""
    try:
        usual, _ = configuration.looked_through(configuration.default_path())
    except ConfigurationError:
        usual = configuration.default()
    if control != usual.control_path or not services.is_to_be_had():
        return Keeper.TERMINAL
    return Keeper.SERVICE if services.is_laid() else Keeper.NOBODY_YET
