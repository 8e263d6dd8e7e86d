"""Print, as JSON, what a program inherits from its parent and owns in the process."""

import gc
import json
import os
import resource
import signal
import sys
import threading


def status(*names):
    with open("/proc/self/status") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    return {name: fields[name] for name in names}


def wait_for_any_child():
    try:
        return os.waitpid(-1, os.WNOHANG)
    except OSError as error:
        return repr(error)


def open_descriptors():
    """The numbers that new descriptors get, and which of 0, 1, 2 are open."""
    new = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
    new += os.pipe()
    standard = [os.fstat(number).st_mode for number in (0, 1, 2)]
    for number in new:
        os.close(number)
    # One more than without a tracer is allowed: its reading of RSS, where no program gets its numbers from.
    return [new, standard, sorted(number for number in map(int, os.listdir("/proc/self/fd")) if number < 512)]


def without_trap(mask):
    return f"{int(mask, 16) & ~(1 << (signal.SIGTRAP - 1)):x}"


def children():
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            found += file.read().split()
    return found


facts = {
    "descriptors": open_descriptors(),
    "environment": dict(sorted(os.environ.items())),
    "child": wait_for_any_child(),
    "children": children(),
    "dispositions": {n.name: str(signal.getsignal(n)) for n in signal.Signals if n != signal.SIGTRAP},
    "signal masks": {k: without_trap(v) for k, v in status("SigBlk", "SigIgn", "SigCgt", "ShdPnd").items()},
    "blocked": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "privileges": status("Uid", "Gid", "CapEff", "NoNewPrivs", "Seccomp"),
    "session": [os.getsid(0), os.getpgrp()],
    "terminal": [os.isatty(number) for number in (0, 1, 2)],
    "directory": os.getcwd(),
    "umask": os.umask(0o022),
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")},
    "priority": [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0))],
    "threads": [len(os.listdir("/proc/self/task")), threading.active_count(), threading.current_thread().name],
    "main thread": threading.get_native_id() == os.getpid(),
    "switch interval": sys.getswitchinterval(),
    "garbage collector": [gc.get_threshold(), gc.isenabled(), len(gc.callbacks)],
    "encodings": [sys.stdin.encoding, sys.stdout.encoding, sys.stderr.errors, sys.getfilesystemencoding()],
    "buffering": [sys.stdout.line_buffering, sys.stdout.write_through, sys.stderr.line_buffering],
    "name": status("Name"),
    "executable": [sys.executable, sys.prefix],
    "warnings": sys.warnoptions,
}
json.dump(facts, sys.stdout, indent=1)
