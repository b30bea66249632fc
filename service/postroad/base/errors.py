"""Errors by what the caller can do about them.

A door translates the first two (SMTP 4xx/5xx, IMAP NO); the sentence in each is written for a
person. A broken invariant is our own bug and is an `assert`, not one of these.
"""


class PostroadError(Exception):
    """Base of all errors that a door may show to a person; `str(error)` is one clear sentence."""


class TemporaryFailure(PostroadError):
    """It did not work now; trying again later may. SMTP 4xx."""


class PermanentFailure(PostroadError):
    """It will not work however often it is tried. SMTP 5xx."""


class ConfigurationError(PostroadError):
    """The owner's configuration, data folder or command cannot be used; says what to do next."""


class PeerMisbehaved(PostroadError):
    """What another node sent is not what the protocol allows; nothing of it was believed."""


class Unreachable(TemporaryFailure):
    """No link to that node could be had within the deadline."""


class LinkClosed(TemporaryFailure):
    """The link or stream ended before the exchange was complete."""


class DiskFull(TemporaryFailure):
    """Less free space than the reserve, or the disk answered ENOSPC. SMTP 452."""
