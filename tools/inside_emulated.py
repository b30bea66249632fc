"""Run in an emulated computer by its systemd: what is asked through a port, one command a line.

Purpose: a way in that needs no network, no login and nothing of the distribution but Python; see
emulated.py, which lays it there. A request is JSON of command, stdin and seconds, an answer JSON of
status, stdout and stderr. Invariant: whatever a command does, its request is answered. Standard
library only.
"""

import glob
import io
import json
import subprocess
import time
from typing import Any

PORT = "/dev/vport*"
TIMED_OUT = 124  # as of timeout(1)


def answer(asked: dict[str, Any]) -> list[Any]:
    try:
        done = subprocess.run(
            asked["command"],
            input=asked["stdin"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=asked["seconds"],
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [TIMED_OUT, "", f"not done in {asked['seconds']} s"]
    except OSError as error:
        return [127, "", str(error)]
    return [done.returncode, done.stdout, done.stderr]


def main() -> None:
    while not (found := glob.glob(PORT)):  # without udev nothing says that it has come
        time.sleep(0.1)
    with open(found[0], "r+b", buffering=0) as port:
        read, written = io.BufferedReader(port), io.BufferedWriter(port)
        while True:
            if not (line := read.readline()):  # nobody has opened the other end yet
                time.sleep(0.1)
                continue
            written.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
            written.flush()


if __name__ == "__main__":
    main()
