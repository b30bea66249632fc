"""A session bus of our own, and programs that use it: four clients, each of another make.

`dbus-next` and `dbus-fast` are libraries in our own process, `busctl` and `gdbus` are programs of
the distribution; where one of those is absent, its tests are skipped and counted.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from needed import skip_without
from postroad.contract import BUS_NAME
from postroad.doors.dbus.interfaces import ours
from postroad.timeouts import timeout

SECONDS_MAX = 20.0
PROPERTIES = "org.freedesktop.DBus.Properties"
CLIENTS = ("dbus-next", "dbus-fast", "busctl", "gdbus")


class Said(Exception):
    """An error that came back over the bus. `name` is empty where a program does not show it."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name = name
        self.sentence = sentence


class SessionBus:
    """`dbus-daemon` as a desktop session has it, at an address that stays the same."""

    def __init__(self, folder: Path, services: Path | None = None) -> None:
        """`services`: XDG_DATA_HOME, where there is something to activate."""
        self._services = services
        self.path = folder / "bus"
        self.address = f"unix:path={self.path}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--address", self.address, "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "XDG_DATA_HOME": str(self._services or "/nonexistent")},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the bus did not come up"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
        self.path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """It takes nothing and says nothing, as in a desktop that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def memory_kib(self) -> int:
        assert self._process is not None
        return memory_kib(self._process.pid)


@contextmanager
def session_bus(folder: Path) -> Iterator[SessionBus]:
    """A bus, and our own process and what it starts is in its session while it lasts."""
    skip_without("dbus-daemon")
    bus = SessionBus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        bus.start()
        try:
            yield bus
        finally:
            bus.thaw()
            bus.kill()


def memory_kib(pid: int) -> int:
    """What the process has in memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


class Client(Protocol):
    """Calls over the bus; values come as Python has them, variants unwrapped."""

    def call(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: Any
    ) -> Any: ...

    def properties(self, path: str, interface: str) -> dict[str, Any]: ...


def client(name: str) -> Client:
    if name in ("dbus-next", "dbus-fast"):
        return LibraryClient(name)
    skip_without(name)
    return Busctl() if name == "busctl" else Gdbus()


class LibraryClient:
    """One call on one connection, as a short script would do it. `Variant` makes arguments."""

    def __init__(self, name: str, address: str | None = None) -> None:
        """`address`: of another bus than that of our session."""
        self._address = address
        self._library = importlib.import_module(name.replace("-", "_"))
        self._aio = importlib.import_module(f"{name.replace('-', '_')}.aio")
        self.Variant = self._library.Variant

    def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *arguments: Any,
        destination: str = BUS_NAME,
    ) -> Any:
        async def once(ask: Asker) -> Any:
            return await ask(path, interface, member, signature, *arguments)

        return self.session(once, destination)

    def properties(self, path: str, interface: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(path, PROPERTIES, "GetAll", "s", interface)
        return found

    def session(self, work: Callable[..., Any], destination: str = BUS_NAME) -> Any:
        """Play `work(ask)` on one connection."""
        return asyncio.run(self._session(work, destination))

    async def _session(self, work: Callable[..., Any], destination: str) -> Any:
        bus = await connected(self._aio, self._address)
        try:
            return await work(Asker(bus, self._library, destination))
        finally:
            await closed(bus)


async def connected(aio: Any, address: str | None = None) -> Any:
    where = address or os.environ["DBUS_SESSION_BUS_ADDRESS"]
    async with timeout(SECONDS_MAX):
        return await aio.MessageBus(bus_address=where).connect()


async def closed(bus: Any) -> None:
    """Free what the libraries leave to the collector."""
    bus.disconnect()
    with suppress(Exception):  # it is over, however it was
        await bus.wait_for_disconnect()
    for held in (bus._stream, bus._sock):
        held.close()


class Asker:
    def __init__(self, bus: Any, library: Any, destination: str) -> None:
        self.bus = bus
        self.library = library
        self._destination = destination

    async def __call__(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: Any
    ) -> Any:
        message = self.library.Message(
            destination=self._destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(arguments),
        )
        async with timeout(SECONDS_MAX):
            reply = await self.bus.call(message)
        if reply.message_type == self.library.MessageType.ERROR:
            raise Said(reply.error_name, reply.body[0])
        body = [plain(one) for one in reply.body]
        return body[0] if len(body) == 1 else body


def plain(value: Any) -> Any:
    """Without the wrapping of variants, whoever made them."""
    if type(value).__name__ == "Variant":
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


class Busctl:
    def call(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: Any
    ) -> Any:
        words = ["call", BUS_NAME, path, interface, member]
        if signature:
            words += ["--", signature, *(_word(one) for one in arguments)]
        return _from_busctl(self._type(*words))

    def properties(self, path: str, interface: str) -> dict[str, Any]:
        found = self.call(path, PROPERTIES, "GetAll", "s", interface)
        assert isinstance(found, dict)
        return found

    def _type(self, *words: str) -> dict[str, Any]:
        done = _typed("busctl", "--user", "--json=short", *words)
        if done.returncode:
            raise Said("", done.stderr.strip().removeprefix("Call failed: "))
        answer: dict[str, Any] = json.loads(done.stdout or '{"type": "", "data": []}')
        return answer


def _from_busctl(answer: dict[str, Any]) -> Any:
    data = [_unwrapped(one) for one in answer["data"]]
    return data[0] if len(data) == 1 else data


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"type", "data"}:
            return _unwrapped(value["data"])
        return {key: _unwrapped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_unwrapped(one) for one in value]
    return value


class Gdbus:
    def call(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: Any
    ) -> Any:
        words = ["--session", "--dest", BUS_NAME, "--object-path", path]
        words += ["--method", f"{interface}.{member}", *(_word(one) for one in arguments)]
        done = _typed("gdbus", "call", *words)
        if done.returncode:
            found = re.search(r"GDBus\.Error:([\w.]+): (.*)", done.stderr.strip())
            assert found is not None, done.stderr
            raise Said(found[1], found[2])
        return done.stdout.strip()

    def properties(self, path: str, interface: str) -> dict[str, Any]:
        """By their names; the values stay text, as GVariant writes it."""
        text = self.call(path, PROPERTIES, "GetAll", "s", interface)
        return {
            name: self.call(path, PROPERTIES, "Get", "ss", interface, name)
            for name in re.findall(r"'([A-Z]\w+)': <", text)
            if name in ours()[interface].properties
        }


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, capture_output=True, text=True, timeout=SECONDS_MAX, check=False, env=os.environ
    )


class Monitor:
    """What crosses the bus, octet for octet, as any program of the session may listen to it."""

    def __init__(self, folder: Path, *rules: str) -> None:
        self._file = folder / "monitored"
        self._out = self._file.open("wb")
        self._process = subprocess.Popen(
            ["dbus-monitor", "--session", "--binary", *rules],
            stdout=self._out,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + SECONDS_MAX
        while not self._file.stat().st_size:  # it hears its own name acquired
            assert time.monotonic() < ends, "the monitor did not come up"
            time.sleep(0.05)

    def heard(self) -> bytes:
        time.sleep(0.5)  # it writes behind
        return self._file.read_bytes()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._out.close()
