"""Which addresses this machine has: what a node that listens everywhere can tell others.

Nothing is sent: connecting a UDP socket only asks the kernel which of its addresses it would use.
"""

import socket

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (peers come from anywhere; that is the purpose)
# Documentation addresses (RFC 5737, RFC 3849): nobody has them, any default route leads to them.
_FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_DISCARD_PORT = 9


def own_addresses() -> list[str]:
    """The addresses that connections to far away would come from; loopback's when there is none."""
    found = [address for family, far in _FAR_AWAY if (address := _towards(family, far))]
    return found or ["127.0.0.1"]


def _towards(family: socket.AddressFamily, far: str) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((far, _DISCARD_PORT))
            return str(asked.getsockname()[0])
    except OSError:  # no route, or not this family
        return None
