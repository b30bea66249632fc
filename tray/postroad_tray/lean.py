"""What the libraries of the tray load or keep, and the tray has no use for.

Purpose: a tray stays in memory for weeks, beside all else that a computer has to do. What is left
undone or given back here is each for a reason that was measured: docs/measured.md.
Invariants: nothing of what a library does for us is changed. Where a library is not as it was when
it was looked at, what is meant for it does nothing, and the tray is larger.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.machinery
import mmap
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

# A part of a library that can only be read or run. What the linker has changed before it could only
# be read (RELRO, and all of small libraries, as libxshmfence) looks the same: see `unchanged`.
_PART = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ \d+ +/.*\.so(?:\.|$)")
_WAS_WRITABLE = b"ac"  # counted as memory that may become our own: proc(5), VmFlags


def without_tls() -> None:
    """Nothing here speaks TLS; asyncio loads OpenSSL all the same."""
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]


def freeze() -> None:
    """Once all is up, and once what the window is made of is loaded. The collector of garbage would
    walk over all of it each time, for up to 22 ms in which nothing is drawn."""
    gc.collect()
    gc.freeze()


@contextmanager
def parts_of(package: str) -> Iterator[None]:
    """Modules of a package, within, without what the package itself would import beside them:
    `dbus_next` takes GLib's binding, XML and connections of its own."""
    found = importlib.machinery.PathFinder.find_spec(package)
    if package in sys.modules or found is None or not found.submodule_search_locations:
        yield  # it is loaded whole already, or will not be
        return
    bare = ModuleType(package)
    bare.__path__ = found.submodule_search_locations
    sys.modules[package] = bare
    try:
        yield
    finally:
        del sys.modules[package]  # whoever wants the whole of it may have it


def without_sources() -> None:
    """Before Qt is loaded. Its binding looks into the source of each module that is imported from
    then on, for whether it uses Qt: a module may ask for other names of Qt's methods, which none of
    ours does. Python keeps what was looked into."""
    with suppress(ImportError, AttributeError):
        importlib.import_module("shiboken6")
        feature = importlib.import_module("shibokensupport.feature")
        feature._mod_uses_pyside = lambda module: False  # type: ignore[attr-defined]


def give_back_libraries() -> None:
    """Once all is up, once a new page is drawn, and when the window is closed or made small. The
    linker has read through the symbols of each library, and much of the code has run once and will
    not again. What of it is wanted after all, the kernel has, still or anew (0.02 ms for each
    megabyte that it still has)."""
    with suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        with open("/proc/self/smaps", "rb") as told:  # by lines: whole, the heap grows by 2 MB
            parts = unchanged(told)
        for begin, end in parts:
            madvise(begin, end - begin, mmap.MADV_DONTNEED)


def unchanged(told: Iterable[bytes]) -> list[tuple[int, int]]:
    """Of the lines of /proc/self/smaps, from where to where each such part lies that is as in its
    file. What was changed could not be had back, also where it is in swap: it is not called
    anonymous then."""
    found: list[tuple[int, int]] = []
    part = None
    for line in told:
        name, *values = line.split()
        if not name.endswith(b":"):  # a part begins, and what is told of it follows
            part = _PART.match(line)
        elif name in (b"Anonymous:", b"Swap:") and values[0] != b"0":
            part = None
        elif name == b"VmFlags:" and part and _WAS_WRITABLE not in values:  # the last line of each
            found.append((int(part[1], 16), int(part[2], 16)))
    return found
