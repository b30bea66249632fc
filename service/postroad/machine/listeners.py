"""The one place that binds sockets.

Purpose: the doors' loopback sockets, the nodes' TCP and UDP ports, the control socket.
Invariants: a mail door's socket is on 127.0.0.1 or ::1 and nowhere else, whoever bound it; a port
that is taken is told to the owner in words, never worked around, because another program on our
port would be shown our owner's password.
See: sd_listen_fds(3) for the sockets that systemd holds for us.
"""

import errno
import os
import socket
import stat
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from postroad.base.errors import ConfigurationError, NotToBeHad
from postroad.base.ids import HostPort
from postroad.machine import privacy
from postroad.machine.own_addresses import EVERYWHERE
from postroad.phrases import Phrase, joined, phrase

BACKLOG = 128
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
RELAY = "relay"  # its name among the sockets of systemd: the one that is not on loopback
INHERITED_FROM = 3  # SD_LISTEN_FDS_START
INHERITED_MAX = 64
SAME_PORT_TRIES = 20
CORRECT_UNIT = (
    "Mail programs are served by TCP on 127.0.0.1 and [::1] only. Correct ListenStream= in "
    "postroad.socket: postroad service enable"
)
NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bind(
    host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM, *, door: str = "Postroad"
) -> socket.socket:
    """A socket at this IP address and port, not yet listening; `port` 0 takes any free one.

    Raises NotToBeHad, which names `door` and the port."""
    try:
        return _bind(host, port, kind)
    except OSError as error:
        raise NotToBeHad(_why(error, HostPort(host, port), kind, door)) from error


class SystemListeners:
    """`base.seams.Listeners`. Takes over what systemd passed to this process, once, and keeps it:
    who asks again, for a node that is begun anew in this process, is given the same.

    `peer_hosts`: the local addresses at which other nodes reach this machine; none: all. What
    systemd must not have passed is told by whoever is asked for a door: ConfigurationError."""

    def __init__(
        self,
        environment: MutableMapping[str, str] = os.environ,
        peer_hosts: Sequence[str] = (),
    ) -> None:
        self._inherited, self._refusal = _inherited(environment)
        self._peer_hosts = tuple(peer_hosts) or EVERYWHERE

    def at(self, peer_hosts: Sequence[str]) -> "SystemListeners":
        """The same sockets of systemd, and these addresses for other nodes."""
        other = SystemListeners({}, peer_hosts)
        other._inherited, other._refusal = self._inherited, self._refusal
        return other

    def held(self, door: str, port: int) -> list[socket.socket]:
        """What systemd holds for this door: by FileDescriptorName=, else by the port. Each caller
        gets descriptors of their own. ConfigurationError: it holds what it must not."""
        if self._refusal:
            raise ConfigurationError(self._refusal)
        return [one.dup() for one in self._of(door, port)]

    def held_if_any(self, door: str, port: int) -> list[socket.socket]:
        """The same, and nothing where systemd holds what it must not."""
        return [one.dup() for one in self._of(door, port)]

    def is_held(self, door: str, port: int) -> bool:
        return bool(self._of(door, port))

    def _of(self, door: str, port: int) -> list[socket.socket]:
        return [
            one
            for name, one in self._inherited
            if name == door or (port and one.getsockname()[1] == port)
        ]

    @property
    def ports(self) -> frozenset[int]:
        """Those that systemd holds for us: free for nobody else, and ours to choose."""
        return frozenset(one.getsockname()[1] for _, one in self._inherited)

    def astray(self, doors: Mapping[str, int]) -> list[socket.socket]:
        """Where systemd listens for us, and none of these doors is, by its name or port: whoever
        connects would wait. The caller gets descriptors of their own."""
        theirs = [one for door, port in doors.items() for one in self._of(door, port)]
        return [one.dup() for _, one in self._inherited if one not in theirs]

    def loopback(self, door: str, port: int) -> Sequence[socket.socket]:
        held = self.held(door, port)
        if held:
            port = held[0].getsockname()[1]
        missing = [family for family in LOOPBACK if family not in {one.family for one in held}]
        try:
            return held + _listen_on(missing, door, port)
        except NotToBeHad:
            for one in held:
                one.close()
            raise

    def relay(self, port: int) -> Sequence[socket.socket]:
        if held := self.held(RELAY, port):
            return held
        listening: list[socket.socket] = []
        try:
            for host in self._peer_hosts:
                at = listening[0].getsockname()[1] if listening else port
                try:
                    listening.append(_listen(host, at))
                except OSError as error:
                    if listening and ":" in host and error.errno in NO_SUCH_ADDRESS:
                        continue  # a machine without IPv6
                    where = HostPort(host, at)
                    raise NotToBeHad(_why(error, where, socket.SOCK_STREAM, "The relay")) from error
        except BaseException:
            for one in listening:
                one.close()
            raise
        return listening


def unix(path: Path) -> socket.socket:
    """A listening socket at this path that only its owner can reach: 0600 in a 0700 folder.

    What a crash left there is replaced; ConfigurationError when somebody still answers, NotToBeHad
    when there cannot be one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        privacy.expect_own_folder(path.parent)
        path.parent.chmod(0o700)
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(path))
            path.chmod(0o600)  # nobody else could come through the folder in between
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise NotToBeHad(
            phrase(
                "The control socket {path} cannot be made ({why}).",
                path=path,
                why=error.strerror or error,
            )
        ) from error
    return listening


def _bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            # A restart must not wait for the old connections' TIME_WAIT. Linux still refuses a
            # port on which somebody listens. Never for UDP: there it would share the port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it; asyncio sets it only where the protocol number is known.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _listen(host: str, port: int) -> socket.socket:
    listening = _bind(host, port, socket.SOCK_STREAM)
    try:
        listening.listen(BACKLOG)
    except OSError:  # EADDRINUSE may come as late as this
        listening.close()
        raise
    return listening


def _listen_on(families: Sequence[int], door: str, port: int) -> list[socket.socket]:
    """Listen on the loopback addresses of these families that the machine has, on one port."""
    for tries_left in reversed(range(SAME_PORT_TRIES if port == 0 else 1)):
        listening: list[socket.socket] = []
        for family in families:
            host = LOOPBACK[socket.AddressFamily(family)]
            same = listening[0].getsockname()[1] if listening else port
            try:
                listening.append(_listen(host, same))
            except OSError as error:
                if family == socket.AF_INET6 and error.errno in NO_SUCH_ADDRESS:
                    continue  # a machine without IPv6
                for one in listening:
                    one.close()
                if listening and tries_left and error.errno == errno.EADDRINUSE:
                    break  # any free port was asked for, and this one is free for one family only
                at = HostPort(host, same)
                raise NotToBeHad(_why(error, at, socket.SOCK_STREAM, door)) from error
        else:
            return listening
    raise AssertionError("the last try returns or raises")


def _inherited(
    environment: MutableMapping[str, str],
) -> tuple[list[tuple[str, socket.socket]], str]:
    """The named sockets that systemd passed to this very process, and why they are not what they
    should be, if so; its words are taken out of the environment."""
    process, count, names, _ = (
        environment.pop(name, "")
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
    )
    if process != str(os.getpid()) or not count.isdecimal():
        return [], ""
    if int(count) > INHERITED_MAX:
        return [], f"systemd passed {count} sockets: {CORRECT_UNIT}"
    found, wrong = [], ""
    for at, name in zip(range(int(count)), names.split(":") + [""] * int(count), strict=False):
        try:
            os.set_inheritable(INHERITED_FROM + at, False)
            passed = socket.socket(fileno=INHERITED_FROM + at)
        except OSError as error:
            wrong = wrong or f"something that is no socket ({error.strerror})"
            continue
        found.append((name, passed))
        wrong = wrong or _wrong(name, passed)
    if wrong:
        for _, passed in found:
            passed.close()
        return [], f"systemd passed {wrong}. {CORRECT_UNIT}"
    for _, passed in found:
        passed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        passed.setblocking(False)
    return found, ""


def _wrong(name: str, passed: socket.socket) -> str:
    """Promise A2 holds for the administrator's units too: mail doors are on loopback only, and
    the relay's is the one that is not. Why this is no such socket; empty: it is."""
    at = passed.getsockname()
    if passed.family not in LOOPBACK or passed.type != socket.SOCK_STREAM:
        return f"a socket at {at!r} that is not one of TCP"
    where = HostPort(*at[:2])
    if passed.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) != socket.IPPROTO_TCP:
        return f"a socket at {where} that is not one of TCP"
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return f"a socket at {where} that does not listen"
    if name != RELAY and at[0] != LOOPBACK[passed.family]:
        return f"a socket at {where}, where others could come in"
    return ""


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigurationError(f"{path} is in the way of the control socket. Move it elsewhere.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass  # a full backlog: somebody is there, only slow
    raise ConfigurationError(f"Another Postroad answers at {path}. Use that one, or stop it first.")


def _why(error: OSError, at: HostPort, kind: socket.SocketKind, door: str) -> Phrase:
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    match error.errno:
        case errno.EADDRINUSE:
            why = phrase("another program has this port; stop it if you can.")
        case errno.EACCES | errno.EPERM:
            why = phrase("this user may not (those below 1024 are for root).")
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            why = phrase("this machine has no such address.")
        case _:
            why = joined(f"{error.strerror or error}.")
    cannot = phrase("{door} cannot use {at} ({protocol}):", door=door, at=at, protocol=protocol)
    return joined(cannot, why)
