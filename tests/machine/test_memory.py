"""What nobody needs any more goes back to the system."""

import ctypes
import ctypes.util
from pathlib import Path

from postroad.machine import memory

BLOCKS, BLOCK_BYTES = 4000, 8 * 1024  # each small enough to lie on the heap


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


def test_what_was_freed_in_the_middle_of_the_heap_is_no_longer_resident() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK_BYTES) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK_BYTES)
    for block in blocks[:-1]:  # the last one keeps the heap's end where it is
        libc.free(block)
    before = resident_kib()
    memory.give_back()
    assert before - resident_kib() > BLOCKS * BLOCK_BYTES // 1024 // 2
    libc.free(blocks[-1])
