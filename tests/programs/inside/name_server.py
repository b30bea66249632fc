"""Run a mail program where this computer is called so, and tell what it asks and says.

It is run in namespaces of its own, as their root. A name server answers that there is no such name
(a dead one would be asked just so, and waited for), a mail server takes everything.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"
NO_SUCH_NAME = b"\x81\x83"  # RFC 1035 section 4.1.1: an answer, recursion, RCODE 3
ANSWERS = {"EHLO": b"250-here\r\n250 AUTH PLAIN", "DATA": b"354 Go on", "QUIT": b"221 Goodbye"}
MAIL_SECONDS_MAX = 60


def main(asked: dict[str, str]) -> None:
    folder = Path(asked["folder"])
    socket.sethostname(asked["hostname"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, text in (
        ("resolv.conf", f"nameserver {LOOPBACK}\n"),
        ("hosts", f"{LOOPBACK} localhost\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ):
        (folder / name).write_text(text)
        if Path(f"/etc/{name}").exists():
            subprocess.run(["mount", "--bind", folder / name, f"/etc/{name}"], check=True)
    names: list[str] = []
    said: list[str] = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as questions,
        socket.create_server((LOOPBACK, 10587)) as mail,
    ):
        questions.bind((LOOPBACK, 53))
        threading.Thread(target=serve_names, args=(questions, names), daemon=True).start()
        serving = threading.Thread(target=serve_mail, args=(mail, said), daemon=True)
        serving.start()
        subprocess.run(
            asked["command"],
            input=asked["stdin"],
            text=True,
            stdout=sys.stderr,
            env={**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8", "TERM": "xterm"},
            check=True,
        )
        serving.join(MAIL_SECONDS_MAX)
    print(json.dumps({"names": names, "said": said}))


def serve_names(questions: socket.socket, names: list[str]) -> None:
    while True:
        question, asker = questions.recvfrom(4096)
        names.append(name_in(question))
        questions.sendto(question[:2] + NO_SUCH_NAME + question[4:], asker)


def name_in(question: bytes) -> str:
    """RFC 1035 section 4.1.2: labels, each behind its length."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower()


def serve_mail(listening: socket.socket, said: list[str]) -> None:
    """One conversation, word by word into `said`."""
    connection, _ = listening.accept()
    in_letter = False
    with connection, connection.makefile("rwb", buffering=0) as lines:
        lines.write(b"220 here\r\n")
        for octets in lines:
            line = octets.decode().rstrip("\r\n")
            said.append(line)
            word = line.split(" ")[0].upper()
            if in_letter and line != ".":
                continue
            in_letter = word == "DATA"
            code = b"235 You are" if word == "AUTH" else ANSWERS.get(word, b"250 Well")
            lines.write(code + b"\r\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
