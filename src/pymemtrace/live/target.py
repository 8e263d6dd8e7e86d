"""Which trace is being written about a process."""

import os

from pymemtrace.errors import UsageError
from pymemtrace.process import request
from pymemtrace.process.listener import Listener, owner_of
from pymemtrace.report import load

_GENERATIONS = 16  # between a process that traces itself and one that it forked


def find(pid: int) -> tuple[int, str, bool]:
    """The traced process that is meant by `pid`, its trace, and whether that began with it: a launcher's pid means its
    program.

    Raises UsageError, with what it would take.
    """
    if os.geteuid() not in (0, owner_of(pid)):
        raise UsageError(f"process {pid} belongs to another user: only that user and root can look at it")
    address = _address(pid)
    if address is None:
        raise UsageError(f"process {pid} is not being traced: {_what_it_takes(pid)}")
    return _within(pid, _file(address, pid))


def _within(pid: int, path: str) -> tuple[int, str, bool]:
    """Which process of the trace is meant."""
    pids = [process["pid"] for process in load.analyze(path)["processes"]]
    if pids and pid not in pids and request.parent(pids[0]) == pid:
        pid = pids[0]
    if pid not in pids:
        raise UsageError(f"process {pid} is not being traced: it has no part in {path}")
    return pid, path, pid == pids[0]


def _address(pid: int) -> str | None:
    """Of the recorder: told by the process, or started by it or by one that it was forked from."""
    found = request.address_of(pid)
    number = pid
    for _generation in range(_GENERATIONS):
        if found is not None or number <= 1:
            break
        found = request.own_address(number)
        number = request.parent(number)
    return found


def _file(address: str, pid: int) -> str:
    try:
        path = request.trace_file(address, pid)
    except OSError as error:
        raise UsageError(f"process {pid} is not being traced any more: {error.strerror or error}") from None
    if not os.access(path, os.R_OK):
        raise UsageError(f"the trace {path} cannot be read from here: run live where the program runs")
    return path


def _what_it_takes(pid: int) -> str:
    try:
        Listener(pid)
    except UsageError:
        return "start the program with `pymemtrace run` (or `pymemtrace live -- PROGRAM`)"
    return f"it listens, so `pymemtrace attach {pid}` starts a trace"
