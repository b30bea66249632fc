"""Keep this process's memory from others of the same user, and out of core files (promise C3).

Whoever is not dumpable cannot be traced, and its /proc/PID/mem not opened, by other processes of
its user without CAP_SYS_PTRACE; and the kernel writes no core of it, to a file or a pipe. A program
that it starts is an ordinary one again.
What this does not do: it is no help against root, and memory may still go to swap; Python cannot
wipe what it has held.
See: PR_SET_DUMPABLE(2const); ptrace(2), "Ptrace access mode checking".
"""

import ctypes
import os
import resource

from postroad.base.errors import NotToBeHad
from postroad.phrases import phrase

PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """From now on; NotToBeHad when the kernel does not let us."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise NotToBeHad(
            phrase("The memory of this process cannot be kept from others ({why}).", why=reason)
        )
