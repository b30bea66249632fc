"""What the Python side of iroh gets wrong, put right.

Purpose: three mends. Importing this module lays two of them over what uniffi has written, and keeps
stack traces out of errors, for the whole process; `free` is the third.
Invariant: what Rust has made for a call is let go of, also when nobody waits for it any more.
See: docs/adr/0001-iroh-behind-a-seam.md.
"""

import contextlib
import ctypes
import os
from typing import Any

from iroh import IrohError, iroh_ffi

GONE = (IrohError, ctypes.ArgumentError)  # what a call says of what is closed, and of what is freed

# With RUST_BACKTRACE=1 in somebody's environment each refused dial would carry a stack trace, and
# the first one costs 48 MB of symbols. Panics still have theirs.
os.environ.setdefault("RUST_LIB_BACKTRACE", "0")


def _write_octets(buffer: Any, octets: bytes) -> None:
    with buffer._reserve(len(octets)):
        start = ctypes.cast(buffer.rbuf.data, ctypes.c_void_p).value
        assert start is not None
        ctypes.memmove(start + buffer.rbuf.len, bytes(octets), len(octets))


# The generated code copies each outgoing octet in a Python loop: 4.5 MB/s, and the event loop
# stands still meanwhile. One memmove instead gives 60-180 MB/s.
assert callable(iroh_ffi._UniffiRustBufferBuilder.write), "not the iroh that this was written for"
iroh_ffi._UniffiRustBufferBuilder.write = _write_octets  # type: ignore[method-assign]


# Nothing of the generated code has types.
_generated_call: Any = iroh_ffi._uniffi_rust_call_async
_checked: Any = iroh_ffi._uniffi_rust_call_with_error


def _call(future: int, poll: Any, complete: Any, drop: Any, lift: Any, errors: Any) -> Any:
    """One call of a coroutine of iroh's, whose result is let go of when nobody takes it.

    Rust makes the handle of a link or a stream before it says that there is one. The generated code
    forgets it when the task is cancelled between the two: nobody can free it any more, and it keeps
    the link, its endpoint and the port until the process ends."""
    is_taken = False

    def take(*arguments: Any) -> Any:
        nonlocal is_taken
        is_taken = True
        return complete(*arguments)

    def end(future: int) -> None:
        try:
            if not is_taken:
                # InternalError: there is no result yet, or Rust panicked. Nobody waits for either.
                with contextlib.suppress(IrohError, iroh_ffi.InternalError):
                    lift(_checked(errors, complete, future))
        finally:
            drop(future)

    return _generated_call(future, poll, take, end, lift, errors)


iroh_ffi._uniffi_rust_call_async = _call


def free(*handles: Any) -> None:
    """Let go of what Rust keeps for us now, not when the last reference has gone.

    The port stays taken while one handle of an endpoint, link or stream lives, and an exception's
    traceback is enough to keep one. A freed handle raises ctypes.ArgumentError when it is used."""
    for handle in handles:
        handle.__del__()
        handle._handle = None
