"""A key that signs, made for a test and gone with it: nothing of ours keeps a key."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

QUIET = ("gpg", "--batch", "--quiet", "--passphrase", "")


@contextlib.contextmanager
def keyring(folder: Path) -> Iterator[None]:
    """While within, gpg knows the keys of this folder and no others."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    before = os.environ.get("GNUPGHOME")
    os.environ["GNUPGHOME"] = str(folder)
    try:
        yield
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False)
        del os.environ["GNUPGHOME"]
        if before is not None:
            os.environ["GNUPGHOME"] = before


def made(name: str, day: str = "") -> str:
    """Of this person, good for a year, which began on another day if one is named; its
    fingerprint."""
    then = [f"--faked-system-time={day.replace('-', '')}T000000"] if day else []
    make = [*QUIET, *then, "--quick-generate-key", name, "ed25519", "sign", "1y"]
    subprocess.run(make, check=True)
    listed = subprocess.run(
        ["gpg", "--with-colons", "--list-keys", name], capture_output=True, text=True, check=True
    )
    return next(line.split(":")[9] for line in listed.stdout.splitlines() if line[:3] == "fpr")
