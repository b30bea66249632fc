"""Give memory back that was only needed to start.

Purpose: a node that rests is small. Whoever compiles or imports a large module (iroh's bindings are
420 kB of Python) leaves glibc a heap of 13 MB with nothing in it, which stays resident.
"""

import contextlib
import ctypes


def give_back() -> None:
    """malloc_trim(3); nothing where the C library has no such thing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
