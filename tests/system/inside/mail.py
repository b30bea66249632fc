"""What a mail program does, and a few things that only somebody inside a system can do or time.

It is run by the system's own Python, as the user in question: a JSON request on stdin (passwords
are not for a command line), a JSON answer on stdout. Standard library only.
"""

import contextlib
import errno
import imaplib
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

Request = dict[str, Any]
Answer = dict[str, Any]
SERVICE = "postroad.service"
LETTERS_MIN = 20
PAUSE_SECONDS = 0.05  # between letters of one who writes all the time
TRY_SECONDS_MAX = 90
TRIES_MIN = 200  # on a busy computer, all of the time may have passed before the first


def submit(request: Request) -> Answer:
    """Hand over letters by SMTP; a subject is told once the letter with it was accepted."""
    accepted: list[str] = []
    failed: list[str] = []
    for subject in request["subjects"]:
        try:
            with smtplib.SMTP("127.0.0.1", request["smtp_port"], timeout=30) as smtp:
                smtp.login(request["address"], request["password"])
                smtp.sendmail(request["address"], [request["to"]], letter(request, subject))
                accepted.append(subject)
        except (OSError, smtplib.SMTPException) as error:
            failed.append(f"{subject}: {error}")
    return {"accepted": accepted, "failed": failed}


def letter(request: Request, subject: str) -> bytes:
    head = f"From: {request['address']}\r\nTo: {request['to']}\r\nSubject: {subject}\r\n"
    return (head + f"\r\nThis is {subject}.\r\n").encode()


def subjects(request: Request) -> Answer:
    """Of everything in the INBOX; wait until all that are expected are there, if there are some."""
    expected, ends = set(request.get("expected", ())), time.monotonic() + request["seconds"]
    while True:
        found: list[str] = []
        with contextlib.suppress(OSError, imaplib.IMAP4.abort), signed_in(request) as imap:
            numbers = imap.search(None, "ALL")[1][0].split()
            if numbers:
                fields = "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
                answer = imap.fetch(b",".join(numbers).decode(), fields)[1]
                heads = [part[1] for part in answer if isinstance(part, tuple)]
                found = [head.decode().partition(":")[2].strip() for head in heads]
        if expected <= set(found) or time.monotonic() > ends:
            return {"subjects": found}
        time.sleep(0.2)


@contextlib.contextmanager
def signed_in(request: Request) -> Iterator[imaplib.IMAP4]:
    imap = imaplib.IMAP4("127.0.0.1", request["imap_port"], timeout=30)
    try:
        imap.login(request["address"], request["password"])
        imap.select("INBOX")
        yield imap
        imap.logout()
    finally:
        with contextlib.suppress(OSError):
            imap.shutdown()


def greeting(request: Request) -> Answer:
    """The first line that a door says; empty when it closes, with how long that took."""
    begun = time.monotonic()
    with socket.create_connection((request["host"], request["port"]), 30) as door:
        try:
            said = door.recv(200)
        except ConnectionResetError:
            said = b""
    return {"greeting": said.decode(), "seconds": time.monotonic() - begun}


def revive(request: Request) -> Answer:
    """Send the service a signal that it cannot survive, or that a watchdog ends, and wait for its
    door to greet again: how long systemd took to start another process, and that to greet."""
    before = main_process()
    os.kill(before, getattr(signal, request["signal"]))
    begun = time.monotonic()
    greeted = greeting({"host": "127.0.0.1", "port": request["port"]})["greeting"]
    while main_process() in (before, 0):
        time.sleep(0.05)
    if not greeted:  # the one that was killed had taken the connection already
        greeted = greeting({"host": "127.0.0.1", "port": request["port"]})["greeting"]
    seconds = time.monotonic() - begun
    started = int(shown("ExecMainStartTimestampMonotonic")) / 1e6
    return {"greeting": greeted, "seconds": seconds, "started_after": started - begun}


def stay_through(request: Request) -> Answer:
    """Be signed in at two doors while a command is run: what that came to, and whether both still
    answer on the same connections."""
    with (
        signed_in(request) as imap,
        smtplib.SMTP("127.0.0.1", request["smtp_port"], timeout=30) as smtp,
    ):
        smtp.login(request["address"], request["password"])
        done = subprocess.run(request["command"], capture_output=True, text=True, check=False)
        there = [imap.noop()[0], "OK" if smtp.noop()[0] == 250 else "gone"]
    return {"status": done.returncode, "said": done.stdout + done.stderr, "still_there": there}


def main_process() -> int:
    return int(shown("MainPID"))


def shown(what: str) -> str:
    command = ["systemctl", "--user", "show", "--value", f"--property={what}", SERVICE]
    return subprocess.check_output(command, text=True)


def restart_often(request: Request) -> Answer:
    """Restart the service many times, most of them before it has come up."""
    for number in range(request["times"]):
        waits = [] if number % 20 == 19 else ["--no-block"]
        subprocess.run(["systemctl", "--user", *waits, "restart", SERVICE], check=True)
        time.sleep(0.2)
    subprocess.run(["systemctl", "--user", "restart", SERVICE], check=True)
    return {}


def take_ports(request: Request) -> Answer:
    """Try to get somebody's ports, in every way that a program has, until a file appears."""
    taken: set[str] = set()
    tries = 0
    ways = [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
        (socket.AF_INET6, "::ffff:127.0.0.1"),
    ]
    while tries < TRIES_MIN or not os.path.exists(request["until"]):
        for port in request["ports"]:
            for family, host in ways:
                for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                    tries += 1
                    with socket.socket(family, socket.SOCK_STREAM) as taker:
                        taker.setsockopt(socket.SOL_SOCKET, option, 1)
                        try:
                            taker.bind((host, port))
                            taker.listen()
                            taken.add(f"{host} port {port}")
                        except OSError as error:
                            if error.errno not in (errno.EADDRINUSE, errno.EINVAL):
                                taken.add(f"{host} port {port}: {error}")
        time.sleep(0.001)
    return {"taken": sorted(taken), "tries": tries}


def load(request: Request) -> Answer:
    """Send letters one after the other until a file appears, each until it is accepted, whatever
    happens to the service meanwhile."""
    accepted: list[str] = []
    again = 0
    while len(accepted) < LETTERS_MIN or not os.path.exists(request["until"]):
        subject = f"{request['prefix']} {len(accepted)}"
        ends = time.monotonic() + TRY_SECONDS_MAX
        while not submit({**request, "subjects": [subject]})["accepted"]:
            again += 1  # it may have been accepted all the same: then it comes twice
            if time.monotonic() > ends:
                return {"accepted": accepted, "again": again, "gave_up": subject}
        accepted.append(subject)
        time.sleep(PAUSE_SECONDS)
    return {"accepted": accepted, "again": again, "gave_up": ""}


def half_a_letter(request: Request) -> Answer:
    """Begin to hand over a letter, wait in the midst of it until a file appears, and go on."""
    with smtplib.SMTP("127.0.0.1", request["smtp_port"], timeout=60) as smtp:
        smtp.login(request["address"], request["password"])
        smtp.mail(request["address"])
        smtp.rcpt(request["to"])
        smtp.putcmd("data")
        assert smtp.getreply()[0] == 354
        octets = letter(request, request["subject"])
        smtp.send(octets[:-10])
        with open(request["begun"], "w"):
            pass
        while not os.path.exists(request["until"]):
            time.sleep(0.05)
        try:
            smtp.send(octets[-10:] + b".\r\n")
            return {"reply": smtp.getreply()[0]}
        except (OSError, smtplib.SMTPException):
            return {"reply": 0}
        finally:
            smtp.close()


DEEDS = (
    *(submit, subjects, greeting, stay_through, revive, restart_often, take_ports, load),
    half_a_letter,
)


def main() -> None:
    request = json.load(sys.stdin)
    wanted = request.pop("do")
    deed = next(deed for deed in DEEDS if deed.__name__ == wanted)
    json.dump(deed(request), sys.stdout)


main()
