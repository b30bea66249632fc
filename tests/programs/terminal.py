"""A terminal for programs that want one."""

import os
import pty
import select
import signal
import time

SECONDS_MAX = 30.0


def run(command: list[str], environment: dict[str, str], seconds: float = SECONDS_MAX) -> str:
    """Run a program on a terminal until it ends by itself; all that it wrote there."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(command[0], command, environment)
    seen = b""
    ends = time.monotonic() + seconds
    try:
        while time.monotonic() < ends:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:  # it has closed its terminal
                    break
        else:
            os.kill(child, signal.SIGKILL)
            raise AssertionError(f"{command[0]} did not end; its screen: {seen[-3000:]!r}")
    finally:
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, seen[-3000:]
    return seen.decode(errors="replace")
