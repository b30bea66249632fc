"""Drive a real mutt: batch mode to send, keys on a pseudo-terminal to read."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import quote

from person import Person
from programs import terminal
from programs.terminal import SECONDS_MAX

START = ["mutt", "-n", "-F", "/dev/null", "-e", "set ssl_starttls=no ssl_force_tls=no"]


def send(writer: Person, recipient: str, subject: str, text: str, *files: Path) -> None:
    """Send a letter in the way of a shell script."""
    user = quote(writer.address, safe="")
    attached = ["-a", *map(str, files), "--"] if files else ["--"]
    done = subprocess.run(
        [
            *START,
            *("-e", f"set smtp_url=smtp://{user}@127.0.0.1:{writer.smtp_port}"),
            *("-e", f"set smtp_pass={writer.password} copy=no send_charset=utf-8"),
            *("-e", f"set from={writer.address} realname={writer.name.capitalize()}"),
            *("-s", subject, *attached, recipient),
        ],
        input=text.encode(),
        env=_environment(),
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def fetch(reader: Person, subject: str, target: Path) -> bytes:
    """Open the INBOX over IMAP, go to the letter with this subject, and save it as it is."""
    user = quote(reader.address, safe="")
    pattern = re.escape(subject).replace("\\ ", ".")  # mutt ends an argument at a space
    save = f"<pipe-message>cat > {shlex.quote(str(target))}<enter>"
    terminal.run(
        [
            *START,
            *("-e", f"set imap_pass={reader.password} wait_key=no pipe_decode=no beep=no"),
            *("-e", "set folder=/"),  # else it asks whether to make one, and takes a key
            *("-e", f'push "<search>~s {pattern}<enter>{save}<exit>"'),
            *("-f", f"imap://{user}@127.0.0.1:{reader.imap_port}/INBOX"),
        ],
        _environment(),
    )
    return target.read_bytes()


def _environment() -> dict[str, str]:
    return os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
