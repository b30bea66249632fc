"""Search what a node leaves behind for a secret, in each form that a program would give it."""

from __future__ import annotations

import base64
import json
import math
import threading
import urllib.parse
from collections.abc import Iterable
from pathlib import Path


def forms(secret: bytes) -> set[bytes]:
    """The octets of `secret` as they would stand in a file, a log line or an argument, whatever
    stands before and behind them."""
    text = secret.decode("latin-1")
    found = {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        secret.hex(":").encode(),
        repr(secret)[2:-1].encode(),
        json.dumps(text)[1:-1].encode(),
        text.encode(),  # octets that somebody took for characters
        ", ".join(map(str, secret)).encode(),
        ",".join(map(str, secret)).encode(),
        urllib.parse.quote_from_bytes(secret).encode(),
        secret[::-1],
    }
    for bits, encode in (
        (6, base64.b64encode),
        (6, base64.urlsafe_b64encode),
        (5, base64.b32encode),
        (5, lambda octets: base64.b32encode(octets).lower()),
    ):
        group = 3 if bits == 6 else 5
        for before in range(group):
            # Only the characters that do not depend on what stands around.
            first = math.ceil(before * 8 / bits)
            behind = (before + len(secret)) * 8 // bits
            found.add(encode(bytes(before) + secret + bytes(group))[first:behind])
    return found


def text_forms(secret: str) -> set[bytes]:
    """The same for words: as they are, as JSON and in other encodings, and their octets' forms."""
    found = {
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        repr(secret)[1:-1].encode(),
        secret.encode("utf-16-le"),
        urllib.parse.quote_plus(secret).encode(),
    }
    return found | forms(secret.encode())


class Secrets:
    """What must not be found, by what it is."""

    def __init__(self) -> None:
        self._forms: dict[str, set[bytes]] = {}

    def add(self, what: str, secret: bytes | str) -> None:
        if isinstance(secret, str):
            self._forms[what] = text_forms(secret)
            return
        self._forms[what] = forms(secret)
        if len(secret) >= 32:  # a half of it would do harm, too
            for half in (secret[:16], secret[16:32]):
                self._forms[what] |= forms(half)

    def found_in(self, octets: bytes) -> list[str]:
        return [
            what for what, these in self._forms.items() if any(form in octets for form in these)
        ]

    def found_in_files(self, files: Iterable[Path]) -> list[tuple[str, str]]:
        return [
            (path.name, what)
            for path in files
            if path.is_file()
            for what in self.found_in(path.read_bytes())
        ]


class Onlooker(threading.Thread):
    """Another process that looks at the arguments and the environment of all of ours, while it
    may: twenty times a second from `start` until `end`."""

    def __init__(self, word: bytes) -> None:
        """`word`: what the arguments of ours have in them."""
        super().__init__(daemon=True)
        self._word = word
        self._ended = threading.Event()
        self.seen: set[bytes] = set()
        self.processes: set[str] = set()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    self._look(folder)

    def _look(self, folder: Path) -> None:
        try:
            arguments = (folder / "cmdline").read_bytes()
            if self._word in arguments:
                self.processes.add(folder.name)
                self.seen.add(arguments)
                self.seen.add((folder / "environ").read_bytes())
        except OSError:  # it has ended, or is hidden from us
            pass

    def end(self) -> bytes:
        """All that was seen."""
        self._ended.set()
        self.join()
        return b"\n".join(self.seen)
