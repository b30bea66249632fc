"""Hear from the kernel that this machine has other addresses, slept, or had its clock set.

Nothing looks again and again: a netlink socket tells of addresses (rtnetlink(7)), and a timer that
is set far ahead is cancelled by any leap of the wall clock, as when the machine wakes up from
suspend (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import socket
from collections.abc import Callable

log = logging.getLogger(__name__)

CLOCK_REALTIME = 0
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
FAR_AHEAD = 2**40  # seconds: some 35,000 years
RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x10, 0x100
NOTE_BYTES = 64 * 1024


class KernelNews:
    """Calls `told` in the running loop after each change, until it is closed."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._addresses: socket.socket | None = None
        self._timer = -1
        try:
            self._watch_addresses()
            self._watch_clock()
        except OSError as error:  # some sandboxes allow none of it
            log.warning("changes around this machine will be noticed late: %s", error)

    def close(self) -> None:
        if self._addresses is not None:
            self._loop.remove_reader(self._addresses)
            self._addresses.close()
            self._addresses = None
        if self._timer >= 0:
            self._loop.remove_reader(self._timer)
            os.close(self._timer)
            self._timer = -1

    def _watch_addresses(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._addresses = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._addresses.bind((0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        self._loop.add_reader(self._addresses, self._address_changed)

    def _address_changed(self) -> None:
        assert self._addresses is not None
        with contextlib.suppress(OSError):  # until it is empty, or has overflowed: news either way
            while self._addresses.recv(NOTE_BYTES):
                pass
        self._told()

    def _watch_clock(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._timer = libc.timerfd_create(CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._timer < 0:
            raise _last_error()
        self._set_timer()
        self._loop.add_reader(self._timer, self._leapt)

    def _set_timer(self) -> None:
        setting = _Setting(_Moment(0, 0), _Moment(FAR_AHEAD, 0))
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.timerfd_settime(self._timer, flags, ctypes.byref(setting), None) < 0:
            raise _last_error()

    def _leapt(self) -> None:
        with contextlib.suppress(OSError):  # ECANCELED is how it says so
            os.read(self._timer, 8)
        self._set_timer()
        self._told()


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Moment), ("value", _Moment))


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
