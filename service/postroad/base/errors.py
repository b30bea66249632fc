"""Errors by what the caller can do about them.

A door translates the first two (SMTP 4xx/5xx, IMAP NO); the sentence in each is written for a
person. A broken invariant is our own bug and is an `assert`, not one of these.
"""

from postroad.phrases import phrase


class PostroadError(Exception):
    """Base of all errors that a door may show to a person; `str(error)` is one clear sentence."""


class TemporaryFailure(PostroadError):
    """It did not work now; trying again later may. SMTP 4xx."""


class NotDecided(TemporaryFailure):
    """The owner has to say yes or no first; until then, trying again is in vain."""


class PermanentFailure(PostroadError):
    """It will not work however often it is tried. SMTP 5xx."""


class Unknown(PermanentFailure):
    """Nobody, or nothing, is called that; or several are."""


class UnusableLink(PermanentFailure):
    """An invitation, or another link that people give each other, that cannot be used."""


class Expired(PermanentFailure):
    """Its time is over."""


class NotPermitted(PermanentFailure):
    """The administrator's policy does not allow it."""


class ConfigurationError(PostroadError):
    """The owner's configuration, data folder or command cannot be used; says what to do next."""


class NotSetUp(ConfigurationError):
    """The data folder holds no keys."""

    def __init__(self) -> None:
        super().__init__(phrase("You are not set up yet. Run: postroad setup --name YOURNAME"))


class Locked(ConfigurationError):
    """The keys are wrapped, and what opens them is not at hand; says what to do."""


class WrongPassphrase(PermanentFailure):
    """It does not open the keys."""

    def __init__(self) -> None:
        super().__init__(phrase("That is not the passphrase of your keys."))


class NotToBeHad(ConfigurationError):
    """The machine does not give us a port, a folder or a socket; says why, as a fact.

    Who asked for it knows which key of which file to change, and adds that."""


class PeerMisbehaved(PostroadError):
    """What another node sent is not what the protocol allows; nothing of it was believed."""


class Unreachable(TemporaryFailure):
    """No link to that node could be had within the deadline."""


class LinkClosed(TemporaryFailure):
    """The link or stream ended before the exchange was complete."""


class DiskFull(TemporaryFailure):
    """Less free space than the reserve, or the disk answered ENOSPC. SMTP 452."""
