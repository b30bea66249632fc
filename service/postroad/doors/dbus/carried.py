"""What is carried over the bus, whichever library carries it."""

from dataclasses import dataclass
from socket import socket
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A method call as it came, variants in `body` as `Typed`."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    body: list[Any]
    serial: int = 0
    wants_answer: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """What an answer says, as octets, for whoever asks. `weight`: how many objects it tells of."""

    signature: str
    octets: bytes
    weight: int = 1


class Octets:
    """Whole messages, as they are, for the libraries to send as they do their own."""

    unix_fds = ()

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def _marshall(self, *_: object, **__: object) -> bytes:
        return self._octets


class Patient:
    """The socket for those libraries that take one that is full for one that is broken."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock

    def send(self, octets: memoryview) -> int:
        """How many were taken; none while there is no room, and the library waits for some."""
        try:
            return self._sock.send(octets)
        except BlockingIOError:
            return 0
