"""What the owner has chosen of this program: whether its notifications show names.

Purpose: icon and window may be two programs, so a choice is a file, which is read when it matters.
Invariants: whoever chose nothing sees names, as mail programs show them; where what was chosen can
not be read, none are shown.
"""

from __future__ import annotations

import json
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
            with self._file.open("rb") as file:
                read = json.loads(file.read(READ_BYTES_MAX))
        except FileNotFoundError:
            return True
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(read, dict) and read.get(_NAMES) is True

    def show_names(self, wanted: bool) -> bool:
        """Whether it is kept so now."""
        beside = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_text(json.dumps({_NAMES: wanted}), encoding="utf-8")
            beside.replace(self._file)
        except OSError:
            return False
        return True
