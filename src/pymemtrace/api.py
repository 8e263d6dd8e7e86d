"""Tracing from inside a program: `with trace()`, `@trace()`, `start()`, `stop()` and `snapshot()`.

One trace at a time is made of a process. Whoever asks for another while one runs gets the same one, and it ends when
the last who asked is done; blocks that overlap, as those of coroutines and threads do, are one trace.
"""

import _thread
import atexit
import errno
import os

from pymemtrace import _capture
from pymemtrace.decorate import decorate
from pymemtrace.errors import ArgumentError, PymemtraceError
from pymemtrace.recording import Options, Recording, encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, ParamSpec, TypeVar, overload

    P = ParamSpec("P")
    R = TypeVar("R")
    Path = str | os.PathLike[str]

NAME_MAX = 63  # bytes of a snapshot's name, core/format/records.h

_lock = _thread.RLock()
_running: Recording | None = None
_users = 0  # of _running: blocks, decorated calls and start()s that are not over
_started: list[Recording] = []  # by start(), not yet stopped
_exit_watched = False


def enter(options: Options) -> Recording:
    """The trace that runs, or a new one; leave() takes it back."""
    global _running, _users
    with _lock:
        if _running is not None and _running.pid != os.getpid() and _capture.engine() is None:
            _running = None  # a fork parent's, in which this process has no part
        if _running is None:
            _watch_exit()
            _running, _users = Recording(options), 0
        _users += 1
        return _running


def leave(recording: Recording) -> None:
    """One of the trace's users is done."""
    global _running, _users
    with _lock:
        if recording is not _running:
            return
        _users -= 1
        if _users == 0:
            _running = None
            recording.end()


def running() -> Recording | None:
    """This process's own trace, if one runs."""
    return _running


def is_changing() -> bool:
    """Whether this thread is in the middle of enter() or leave(): asked by handlers of signals."""
    owned: bool = _lock._is_owned()  # type: ignore[attr-defined]
    return owned


def _watch_exit() -> None:
    global _exit_watched
    if not _exit_watched:
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_go_on_in_child)
        _exit_watched = True


def _at_exit() -> None:
    if _running is not None:
        _running.abandon()


def _go_on_in_child() -> None:
    """A fork child is part of its parent's trace. The thread that held the lock may be missing in it."""
    global _lock
    _lock = _thread.RLock()
    if _running is not None:
        _running.follow()


class Tracer:
    """What trace() returns: a context manager, and a decorator. May be used any number of times, also at once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._entered: list[Recording] = []

    def __enter__(self) -> Recording:
        recording = enter(self._options)
        self._entered.append(recording)
        return recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        leave(self._entered.pop())

    def __call__(self, function: "Callable[P, R]") -> "Callable[P, R]":
        """`function`, each call of which is traced: from its start to its end, awaits and yields included."""
        return decorate(function, lambda: self, "trace()")


if TYPE_CHECKING:

    @overload
    def trace(path: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def trace(
        path: Path | None = None,
        *,
        exact: bool = False,
        overwrite: bool = False,
        max_size: int | None = None,
        quiet: bool = False,
        follow: bool = True,
        releases: str | None = None,
    ) -> Tracer: ...


def trace(
    path: "Any" = None,
    *,
    exact: bool = False,
    overwrite: bool = False,
    max_size: int | None = None,
    quiet: bool = False,
    follow: bool = True,
    releases: str | None = None,
) -> "Any":
    """Trace a block of code, or each call of a function::

        with pymemtrace.trace("job.pmt") as t:
            work()
        t.read().by_line[:10]

        @pymemtrace.trace()
        def work(): ...

    Functions may be plain, async, generators or async generators. All threads of the process are traced, those that
    run already too. Inside a trace that runs, another trace() is that one and its options count for nothing; in a
    program that `pymemtrace run` traces no other trace is made.

    path: the trace's file; by default pymemtrace-NAME.PID.pmt in the current folder, then pymemtrace-NAME.PID-2.pmt
        and so on.
    exact: a signal at every page fault, whatever it costs, instead of one in up to 256.
    overwrite: replace the file if it is there.
    max_size: bytes that the file may have.
    quiet: no warnings.
    follow: the Python processes started meanwhile are part of the trace, until it ends; the rest of their lives is not.
    releases: "exact" records which line gave memory back to the system, and how much, at some 15 us each time; given up
        where that is more than 2 % of the run time.

    Yields a Recording. Raises TypeError or ArgumentError for a wrong argument and TracePathError if the file exists or
    cannot be written. Whatever else prevents tracing is told in one TraceWarning and in the Recording's `engine` and
    `engine_reason`, and the program goes on.
    """
    if callable(path) and not isinstance(path, (str, os.PathLike)):
        return Tracer(Options(None, exact, overwrite, max_size, quiet, follow, releases=releases))(path)
    return Tracer(Options(path, exact, overwrite, max_size, quiet, follow, releases=releases))


def start(
    path: "Path | None" = None,
    *,
    exact: bool = False,
    overwrite: bool = False,
    max_size: int | None = None,
    quiet: bool = False,
    follow: bool = True,
    releases: str | None = None,
) -> Recording:
    """Trace from here to stop(), or to the end of the program. The options and errors are trace()'s."""
    recording = enter(Options(path, exact, overwrite, max_size, quiet, follow, releases=releases))
    _started.append(recording)
    return recording


def stop() -> Recording | None:
    """Take back the last start(): the trace ends if nobody else asked for it. None: there was none to take back."""
    if not _started:
        return None
    recording = _started.pop()
    leave(recording)
    return recording


def snapshot(name: str) -> bool:
    """Have it looked up now which pages of this process are resident; `--at NAME` of the reports shows who has them.

    It takes about 25 ms for each GiB of resident memory in small pages, in which the program's other threads go on.
    What the allocators say of themselves is recorded with it. False: this process is not being traced, and nothing
    happens.

    name: of 1 to 63 bytes; not "peak", "end" or a number (with an "s" or not), which mean something else to --at.
    Raises TypeError or ArgumentError if it is none, and PymemtraceError where the pages cannot be looked at or the
    recorder does not answer.
    """
    check_name(name)
    error = _capture.snapshot(encodable(name))
    if error == errno.ESRCH:
        return False
    if error:
        raise PymemtraceError(snapshot_problem(error))
    return True


def check_name(name: object) -> None:
    """Raise TypeError or ArgumentError if a snapshot cannot be called that."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name or "\0" in name or len(encodable(name).encode()) > NAME_MAX:
        raise ArgumentError(f"name must have 1 to {NAME_MAX} bytes and no null character, not {name[:80]!r}")
    from pymemtrace.report.units import parse_seconds

    if name in ("peak", "end") or parse_seconds(name) is not None:
        raise ArgumentError(f"name {name!r} means something else to --at: choose another")


def snapshot_problem(error: int) -> str:
    """Why there is no snapshot, or not all of it."""
    if error == errno.ENOTSUP:
        return "no snapshot: nobody looks at this process's pages (pymemtrace report says why)"
    if error == errno.ETIME:
        return "the snapshot is not complete: there was not enough time to look at all pages"
    return f"no snapshot: the recorder does not answer ({os.strerror(error)})"
