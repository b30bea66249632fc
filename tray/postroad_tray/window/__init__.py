"""The window: pages at the left, what is wrong above them. Only here and in `qt_icon` is Qt known.

See: docs/adr/0029-tray.md.
"""

from postroad_tray.window.frame import Frame, open_window

__all__ = ["Frame", "open_window"]
