"""A secret that the service manager hands us: systemd's credential, in a file of this run alone.

systemd can decrypt it with the machine's TPM or a key that root has; no other process is given it.
See: systemd.exec(5), "Credentials"; systemd-creds(1).
"""

import os
from pathlib import Path

from postroad.base.errors import NotToBeHad
from postroad.phrases import phrase

NAME = "postroad-keys"
BYTES_MAX = 64 * 1024


def fetch() -> bytes:
    """The credential's octets; NotToBeHad when the service was given none."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise NotToBeHad(
            phrase("systemd has given this process no credentials ({name} is wanted).", name=NAME)
        )
    try:
        with open(Path(folder) / NAME, "rb") as file:
            return file.read(BYTES_MAX)
    except OSError as error:
        raise NotToBeHad(
            phrase(
                "systemd has given this process no credential {name} ({why}).",
                name=NAME,
                why=error.strerror,
            )
        ) from error
