"""The local network: nodes call out their tags by multicast DNS, and hear each other's.

Purpose: `base.seams.Lan` on `zeroconf`; nothing of it leaves this module. Works with no internet
and no router at all, as long as the computers have IPv4 addresses of one network.
Invariants: what is called out names nobody (a tag and random names, new at each start, each day and
each change of network); what others call out costs nothing unless its tag is wanted; only addresses
of a network that we are on ourselves, and no privileged ports, are passed on.
See: RFC 6762, RFC 6763.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Interface

from zeroconf import Error, ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from postroad.base.ids import HostPort
from postroad.base.seams import Entropy, Neighbour
from postroad.machine.interfaces import changes, local_interfaces
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
ANSWER_MILLISECONDS_MAX = 3000
RESOLVING_MAX = 8  # at once; what is called out beyond that is not listened to
ADDRESSES_MAX = 4
PORT_MIN = 1024
SETTLE_SECONDS = 1.0  # an interface that comes up changes several times
LOOK_SECONDS = 600.0  # after this the interfaces are looked at again, if nobody told of a change
TAG_DIGITS = 16


class ZeroconfLan:
    """`base.seams.Lan`. `hosts`: local addresses to keep to; empty: all."""

    def __init__(self, entropy: Entropy, transport: str = "udp", hosts: Sequence[str] = ()) -> None:
        self._entropy = entropy
        self._type = f"_postroad._{transport}.local."
        self._hosts = frozenset(hosts)

    async def serve(
        self,
        tag: bytes,
        port: Callable[[], int],
        wanted: Callable[[bytes], bool],
        heard: Callable[[Neighbour], None],
    ) -> None:
        async with changes() as changed:
            while True:
                changed.clear()
                try:
                    if interfaces := self._interfaces():
                        visit = _Visit(self._type, interfaces, wanted, heard)
                        await visit.stay(self._info(tag, port(), interfaces), changed, self._differ)
                        changed.set()
                except* (OSError, RuntimeError, Error) as group:  # no multicast here
                    log.info("not on the local network: %s", group.exceptions)
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # the group can swallow it
                    raise asyncio.CancelledError
                with contextlib.suppress(TimeoutError):
                    async with timeout(LOOK_SECONDS):
                        await changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)

    def _differ(self, interfaces: tuple[IPv4Interface, ...]) -> bool:
        return self._interfaces() != interfaces

    def _interfaces(self) -> tuple[IPv4Interface, ...]:
        everywhere = not self._hosts or "0.0.0.0" in self._hosts  # noqa: S104
        return tuple(one for one in local_interfaces() if everywhere or str(one.ip) in self._hosts)

    def _info(
        self, tag: bytes, port: int, interfaces: Sequence[IPv4Interface]
    ) -> ServiceInfo | None:
        """What is called out; None while the node has no port to be reached at."""
        if not port:
            return None
        name = f"{tag.hex()}-{self._entropy.token(4).hex()}"
        return ServiceInfo(
            self._type,
            f"{name}.{self._type}",
            addresses=[one.ip.packed for one in interfaces],
            port=port,
            properties={},
            server=f"{self._entropy.token(8).hex()}.local.",
        )


class _Visit:
    """One stay on the networks that the computer is on now."""

    def __init__(
        self,
        service_type: str,
        interfaces: tuple[IPv4Interface, ...],
        wanted: Callable[[bytes], bool],
        heard: Callable[[Neighbour], None],
    ) -> None:
        self._type = service_type
        self._interfaces = interfaces
        self._wanted = wanted
        self._heard = heard
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def stay(
        self,
        info: ServiceInfo | None,
        changed: asyncio.Event,
        differ: Callable[[tuple[IPv4Interface, ...]], bool],
    ) -> None:
        """Until the interfaces are others, or until cancelled; says goodbye in the end."""
        multicast = AsyncZeroconf(interfaces=[str(one.ip) for one in self._interfaces])
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                browser = AsyncServiceBrowser(
                    multicast.zeroconf, self._type, handlers=[self._changed]
                )
                try:
                    if info is not None:
                        # The name has random digits: nobody need be asked whether it is free.
                        await multicast.async_register_service(info, cooperating_responders=True)
                    while not differ(self._interfaces):
                        await changed.wait()
                        changed.clear()
                finally:
                    self._tasks = None
                    for task in self._resolving.values():
                        task.cancel()
                    await browser.async_cancel()
        finally:
            await multicast.async_close()

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """Somebody calls out, or has gone: of no interest unless the tag is wanted."""
        tag = _tag_of(name)
        if tag is None or self._tasks is None or not self._wanted(tag):
            return
        if state_change is ServiceStateChange.Removed:
            self._heard(Neighbour(tag, ()))
        elif name not in self._resolving and len(self._resolving) < RESOLVING_MAX:
            task = self._tasks.create_task(self._resolve(zeroconf, name, tag), name="resolve")
            self._resolving[name] = task
            task.add_done_callback(lambda _: self._resolving.pop(name, None))

    async def _resolve(self, zeroconf: Zeroconf, name: str, tag: bytes) -> None:
        try:
            info = AsyncServiceInfo(self._type, name)
            if await info.async_request(zeroconf, ANSWER_MILLISECONDS_MAX):
                self._tell(tag, info)
        except (OSError, Error) as error:
            log.info("a neighbour was not found: %s", error)
        except Exception:  # the doorstep of what anybody may call out
            log.exception("looking up a neighbour failed")

    def _tell(self, tag: bytes, info: AsyncServiceInfo) -> None:
        near = partial(_is_near, interfaces=self._interfaces)
        hosts = [host for host in info.parsed_addresses() if near(host)][:ADDRESSES_MAX]
        if hosts and info.port is not None and info.port >= PORT_MIN:
            self._heard(Neighbour(tag, tuple(HostPort(host, info.port) for host in hosts)))


def _tag_of(name: str) -> bytes | None:
    """The tag that an instance name begins with."""
    digits = name[:TAG_DIGITS]
    try:
        return bytes.fromhex(digits) if len(digits) == TAG_DIGITS else None
    except ValueError:
        return None


def _is_near(host: str, interfaces: Sequence[IPv4Interface]) -> bool:
    """Whether it is another computer of a network that we are on: not ourselves, and nobody far."""
    try:
        ip = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    if ip.is_loopback or ip.is_multicast or ip.is_unspecified:
        return False
    return any(ip in one.network and ip != one.network.broadcast_address for one in interfaces)
