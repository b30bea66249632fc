"""How long ago, and how soon: in words that a person would say. Pure.

Invariants: `at` and `now` are seconds UTC; an `at` of 0 was never; what lies in the future of a
clock that is a little off was just now.
"""

from __future__ import annotations

from postroad_tray.tongue import _, many

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FAR = 400 * DAY  # what nobody has planned


def lasting(seconds: float) -> str:
    """So long, in one unit: `3 min`."""
    if seconds < MINUTE:
        return _("{n} s").format(n=max(int(seconds), 0))
    if seconds < HOUR:
        return _("{n} min").format(n=int(seconds // MINUTE))
    if seconds < 2 * DAY:
        return _("{n} h").format(n=int(seconds // HOUR))
    return many("{n} day", "{n} days", int(seconds // DAY))


def ago(at: float, now: float) -> str:
    """`just now`, `3 min ago`, `never`."""
    if not at:
        return _("never")
    if now - at < MINUTE:
        return _("just now")
    if now - at >= 2 * DAY:  # whole, for days have a case of their own in many languages
        return many("{n} day ago", "{n} days ago", int((now - at) // DAY))
    return _("{time} ago").format(time=lasting(now - at))


def ahead(at: float, now: float) -> str:
    """`now`, `in 3 min`; nothing where nothing is planned."""
    if not at or at - now > FAR:
        return ""
    if at - now < 1:
        return _("now")
    if at - now >= 2 * DAY:
        return many("in {n} day", "in {n} days", int((at - now) // DAY))
    return _("in {time}").format(time=lasting(at - now))
