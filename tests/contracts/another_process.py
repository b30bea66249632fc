"""An endpoint in a process of its own, run as a program: it answers each stream, or leaves."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from contracts.networks import SECRETS, maker
from postroad.base.ids import Contact, HostPort, PeerId
from postroad.base.seams import Endpoint, Link, Stream


async def answer(body: str, mode: str) -> None:
    """Answer a stream and stay, or leave in the middle of everything."""
    endpoint = await maker(body)().open(SECRETS[1], 0)
    at = endpoint.addresses()[0]
    print(endpoint.me.hex(), at.host, at.port, flush=True)
    link = await endpoint.accept()
    stream = await link.accept()
    await stream.write(await stream.read(100))
    if mode == "stay":
        await asyncio.sleep(600)
    tasks = [asyncio.create_task(link.accept()), asyncio.create_task(endpoint.accept())]
    await asyncio.sleep(0.1)
    print("leaving", len(tasks), flush=True)  # with no close, and two who wait


@contextlib.contextmanager
def started(body: str, mode: str) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(
        [sys.executable, __file__, body, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


async def meet(one: Endpoint, child: "subprocess.Popen[str]") -> tuple[Link, Stream]:
    assert child.stdout is not None
    key, host, port = (await asyncio.to_thread(child.stdout.readline)).split()
    link = await one.dial(Contact(PeerId(bytes.fromhex(key)), (HostPort(host, int(port)),)))
    stream = await link.open()
    await stream.write(b"hello")
    assert await stream.read(100) == b"hello"
    return link, stream


if __name__ == "__main__":
    asyncio.run(answer(sys.argv[1], sys.argv[2]))
