"""What the owner has chosen of this program: whether its notifications show names.

Purpose: icon and window may be two programs, so a choice is a file, which is read when it matters.
Invariants: whoever chose nothing sees names, as mail programs show them; where what was chosen can
not be read, none are shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from postroad_tray import folders

READ_BYTES_MAX = 16 * 1024
_NAMES = "names_in_notifications"


class Choices:
    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        self._file = folders.configuration(variables) / folders.OURS / "choices.json"

    def shows_names(self) -> bool:
        """Whether notifications say whom it is about, and why."""
        try:
            read = folders.kept(self._file, READ_BYTES_MAX)
        except FileNotFoundError:
            return True
        except (OSError, ValueError):
            return False
        return isinstance(read, dict) and read.get(_NAMES) is True

    def show_names(self, wanted: bool) -> bool:
        """Whether it is kept so now."""
        try:
            folders.keep(self._file, {_NAMES: wanted})
        except OSError:
            return False
        return True
