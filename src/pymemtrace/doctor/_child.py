"""Runs in a child process of `pymemtrace doctor`: `python -I -S _child.py EXTENSION ENGINE`.

Tries one engine for real and prints [errno, reason] as JSON. Imports nothing of the package around it.
"""

import errno
import json
import os
import platform
import signal
import struct
import sys
import time
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Answer = tuple[int, str]

# timer_create and timer_settime: older C libraries have them in a library of their own.
_SYSTEM_CALLS = {"x86_64": (222, 223), "aarch64": (107, 110)}
_NOTIFY_THREAD, _SIGEVENT_SIZE = 4, 64  # SIGEV_THREAD_ID
_TICK_NS, _PATIENCE_S = 1_000_000, 0.5  # CPU time; the second counts the start of the interpreter too


def _load(path: str) -> "Any":
    loader = ExtensionFileLoader("pymemtrace._capture", path)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _faults(path: str) -> Answer:
    answer: Answer = _load(path).probe()
    return answer


def _tracer() -> int:
    """The debugger's pid; 0: none that is known."""
    try:
        with open("/proc/self/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("TracerPid:")), 0)
    except OSError:
        return 0


def _tick_once(number: int) -> int:
    """Have this thread sent a signal after _TICK_NS of its CPU time. 0 or errno.

    Only once: another could come when the interpreter, at its end, has let its handlers go.
    """
    import ctypes

    create, settime = _SYSTEM_CALLS[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    thread = os.getpid()  # the main thread
    clock = ctypes.c_int(~thread << 3 | 4 | 2)  # the CPU time of that thread, <linux/posix-timers_types.h>
    event = struct.pack("=QiiI", 0, number, _NOTIFY_THREAD, thread).ljust(_SIGEVENT_SIZE, b"\0")
    timer = ctypes.c_int()
    setting = struct.pack("=4q", 0, 0, 0, _TICK_NS)
    if (
        libc.syscall(create, clock, event, ctypes.byref(timer)) < 0
        or libc.syscall(settime, timer, 0, setting, None) < 0
    ):
        return ctypes.get_errno()
    return 0


def _timer(_path: str) -> Answer:
    """Whether a timer on this thread's CPU time sends it a signal."""
    if tracer := _tracer():
        return errno.EBUSY, f"process {tracer} traces this one (a debugger or strace): ticks would stop in it"
    ticks: list[int] = []
    number = signal.SIGRTMIN + 1
    signal.signal(number, lambda *_: ticks.append(1))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    try:
        error = _tick_once(number)
    except (ImportError, KeyError):  # no ctypes, or another machine
        return 0, ""  # it cannot be tried from here, and each Linux has it
    if error:
        return error, f"timer_create: {os.strerror(error)}"
    while not ticks and time.thread_time() < _PATIENCE_S:
        pass
    return (0, "") if ticks else (errno.ENOTSUP, "a timer on CPU time sends no signals here")


_PROBES = {"faults": _faults, "timer": _timer}
print(json.dumps(_PROBES[sys.argv[2]](sys.argv[1])))
