"""Who connects next to a listening socket (`base.seams.Arrivals`).

See: asyncio's `loop.sock_accept`, which we do without: cancelled in the turn in which somebody
comes, it has taken them, and can give them to nobody (InvalidStateError).
"""

import asyncio
from socket import socket

from postroad.base.seams import SocketAddress


async def next_arrival(listening: socket) -> tuple[socket, SocketAddress]:
    """`listening` does not block, and neither does what is returned."""
    loop = asyncio.get_running_loop()
    descriptor = listening.fileno()  # also for the one who closes it before we are cancelled
    while True:
        try:
            connection, address = listening.accept()
        except (BlockingIOError, InterruptedError):
            somebody = asyncio.Event()
            loop.add_reader(descriptor, somebody.set)
            try:
                await somebody.wait()
            finally:
                loop.remove_reader(descriptor)
        else:
            connection.setblocking(False)
            return connection, address
