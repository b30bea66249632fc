"""What stands where a user's bus and service manager are to be asked, and answers what it likes.

It says "lying" when it does, and ends, with everything as it was before, when its input does.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path
from typing import BinaryIO

sys.path.insert(0, "/usr/lib/postroad/site")

from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageType
from dbus_next.message import Message

SAYS = "\x1b]0;a title that root did not choose\x07"


def answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream:
        greet(connection, stream)
        number = 0
        while (message := Unmarshaller(stream).unmarshall()) is not None:
            if message.message_type is not MessageType.METHOD_CALL:
                continue
            if message.member == "Hello":
                reply = Message.new_method_return(message, "s", [":1.1"])
            else:
                reply = Message.new_error(message, "org.freedesktop.DBus.Error.Failed", SAYS)
            number += 1
            reply.sender, reply.serial = "org.freedesktop.DBus", number
            connection.sendall(reply._marshall())


def greet(connection: socket.socket, stream: BinaryIO) -> None:
    """As section `Authentication Protocol` of D-Bus has it; whoever comes is welcome."""
    while not (line := stream.readline().strip(b"\0\r\n")).startswith(b"BEGIN"):
        if line.startswith(b"NEGOTIATE"):
            connection.sendall(b"AGREE_UNIX_FD\r\n")
        elif line == b"AUTH EXTERNAL":
            connection.sendall(b"DATA\r\n")
        else:
            connection.sendall(b"OK %s\r\n" % (b"a" * 32))


def listen(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    while True:
        threading.Thread(target=answer, args=listener.accept()[:1], daemon=True).start()


def main() -> None:
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    places = [runtime / "bus", runtime / "systemd" / "private"]
    for place in places:
        place.rename(f"{place}.real")
        threading.Thread(target=listen, args=(place,), daemon=True).start()
    print("lying", flush=True)
    sys.stdin.read()
    for place in places:
        place.unlink()
        Path(f"{place}.real").rename(place)


main()
