"""Eyes and a hand before a screen, whosever screen it is: here, or in a booted system.

Purpose: find our icon in what the screen shows, and click and type as a person does.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops

from person import ClaimFailed, until

WIDTH, HEIGHT = 1280, 800
CORNER = (WIDTH - 80, 0, WIDTH, 36)  # where all panels have our icon
ENVELOPE = (0x3A, 0x80, 0xCB)  # the blue of our letter, which is grey where Postroad is off
NEAR = 30  # of 255, for what scaling makes of a colour
PIXELS = 20  # of that colour at least, on the smallest panel
SECONDS_MAX = 30.0
STANDS_SECONDS = 1.5
TITLE = "Postroad"
# From the bottom of the menu of a node that is well: see postroad_tray/menu.py.
QUIT, OPEN = 1, 7


class Hand:
    """Each kind of desktop says how its screen is seen, and how something gets to it."""

    keeps: Path
    """The folder for a picture of a screen on which something was not to be found."""

    _menu = (0, 0, 0, 0)

    def shot(self) -> Image.Image:
        """What the screen shows now."""
        raise NotImplementedError

    def log(self) -> str:
        """What was said by all that runs there."""
        raise NotImplementedError

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program that sees the screen."""
        raise NotImplementedError

    # --- what is seen -----------------------------------------------------------------------------

    def icon(self) -> tuple[int, int] | None:
        """The middle of our letter in the panel, where it shows in its colour."""
        panel = self.shot().crop(CORNER)
        ours = Image.new("L", panel.size, 255)
        for band, wanted in zip(panel.split(), ENVELOPE, strict=True):
            near = [255 if abs(one - wanted) <= NEAR else 0 for one in range(256)]
            ours = ImageChops.multiply(ours, band.point(near))
        box = ours.getbbox()
        if box is None or ours.histogram()[255] < PIXELS:
            return None
        return CORNER[0] + (box[0] + box[2]) // 2, (box[1] + box[3]) // 2

    def wait_for_icon(self, there: bool = True) -> None:
        def holds() -> bool:
            return (self.icon() is not None) == there

        self.until(holds, f"the icon {'comes' if there else 'goes'}")

    def wait_for_icon_to_stand(self) -> None:
        """It is made anew a second after a panel came (qt_icon.SETTLE_MS), and whoever clicks just
        then has something else under the pointer."""
        where, since = self.icon(), time.monotonic()

        def stands() -> bool:
            nonlocal where, since
            before, where = where, self.icon()
            if where is None or where != before:
                since = time.monotonic()
            return time.monotonic() - since > STANDS_SECONDS

        self.until(stands, "the icon comes, and stands still")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for it; where it does not come about, a picture of the screen is kept."""
        try:
            until(holds, what, SECONDS_MAX)
        except ClaimFailed as failed:
            self.shot().save(self.keeps / "screen.png")
            raise ClaimFailed(f"{failed} See {self.keeps}/screen.png.\n{self.log()}") from failed

    def windows(self) -> list[str]:
        """The titles of what is open."""
        found = self._run("xdotool", "search", "--onlyvisible", "--name", TITLE).stdout.split()
        titles = [self._run("xdotool", "getwindowname", one).stdout.strip() for one in found]
        return [one for one in titles if one == TITLE]

    def takes_keys(self) -> bool:
        """Whether what is typed gets into our window."""
        return self._run("xdotool", "getactivewindow", "getwindowname").stdout.strip() == TITLE

    def wait_for_window(self, open_: bool = True) -> None:
        what = f"the window {'opens' if open_ else 'goes'}"
        self.until(lambda: bool(self.windows()) == open_, what)

    def wait_for_keys(self) -> None:
        """A window that has just opened may not be where one types yet, and is not hidden then."""
        self.until(self.takes_keys, "the window takes keys")

    # --- what is done -----------------------------------------------------------------------------

    def click(self, button: int) -> None:
        """On the icon."""
        self.wait_for_icon()
        self.click_at(*(self.icon() or (0, 0)), button)

    def click_at(self, x: int, y: int, button: int = 1) -> None:
        self._move(x, y)
        self._run("xdotool", "click", str(button))

    def _move(self, x: int, y: int) -> None:
        self._run("xdotool", "mousemove", str(x), str(y))

    def leave(self) -> None:
        """The pointer is elsewhere, so that no tooltip lies over anything."""
        self._move(WIDTH // 4, HEIGHT - 20)

    def press(self, *keys: str) -> None:
        for key in keys:
            self._run("xdotool", "key", "--delay", "60", key)

    def type(self, text: str) -> None:
        self._run("xdotool", "type", "--delay", "8", "--", text)

    def close_window(self) -> None:
        """By its key."""
        self.wait_for_keys()
        self.press("Escape")
        self.wait_for_window(open_=False)

    def still(self) -> Image.Image:
        """The screen, once it stands still: a window that has gone is painted over some time later,
        and what is compared with it then would be taken for something that came."""
        before = self.shot()

        def stands() -> bool:
            nonlocal before
            last, before = before, self.shot()
            return ImageChops.difference(last, before).getbbox() is None

        self.until(stands, "the screen stands still")
        return before

    def open_menu(self) -> None:
        before = self.still()
        self.click(3)

        def has_opened() -> bool:
            box = ImageChops.difference(before, self.shot()).getbbox()
            self._menu = box or (0, 0, 0, 0)
            return self._menu[2] - self._menu[0] > 150 and self._menu[3] - self._menu[1] > 120

        self.until(has_opened, "a menu opens")

    def choose(self, from_the_bottom: int) -> None:
        """That line of the open menu; all below it can be chosen, too."""
        self.press(*["Up"] * from_the_bottom, "Return")
