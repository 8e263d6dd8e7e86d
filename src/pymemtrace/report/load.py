"""Opens a trace for every report: one door, so that each way a file can be wrong has one line and one error class."""

import os
import stat

from pymemtrace.errors import PymemtraceError, TraceFileError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from pymemtrace._analysis import (
        At,
        Calls,
        CallTree,
        Choice,
        History,
        LineRows,
        Log,
        Releases,
        Result,
        Sample,
        Stacks,
    )


def analyze(path: str, pid: int | None = None, at: "At | None" = None) -> "Result":
    """Analyse the trace at `path`, of all processes or of the one with `pid`; `at`: what was resident then, else what
    was touched.

    Raises TraceFileError (missing, unreadable, foreign, newer or corrupt file) or UsageError (no such process).
    A file that was cut off is no error.
    """
    result: Result = _ask("analyze", path, pid, *(() if at is None else (at,)))
    return result


def calls(path: str, pid: int | None = None) -> "Calls":
    """The event log by function. Raises as `analyze`."""
    found: Calls = _ask("calls", path, pid)
    return found


def history(path: str, pid: int | None, times: list[int], read: object) -> "History":
    """Who held the memory at these times (ns). read: from the analysis of that file, or None. Raises as `analyze`."""
    found: History = _ask("history", path, pid, times, read)
    return found


def releases(path: str, pid: int | None = None) -> "Releases":
    """Which lines gave memory back. Raises as `analyze`."""
    found: Releases = _ask("releases", path, pid)
    return found


def stacks(path: str, pid: int | None, at: "At | None") -> "Stacks":
    """The stacks by thread, with what each holds at the moment (None: at the peak) and touched. Raises as `analyze`."""
    found: Stacks = _ask("stacks", path, pid, at)
    return found


def section_calls(path: str, pid: int, section: int, since: int, until: int, choice: "Choice") -> "Calls":
    """What a section shows of its event log, by function. Raises TraceFileError."""
    reader = _reader()
    _require_file(path)
    try:
        found: Calls = reader.section_calls(path, pid, section, since, until, choice)
    except (reader.FormatError, OSError) as exc:
        raise _unreadable(path, exc) from exc
    return found


def call_tree(path: str, pid: int | None = None, by_thread: bool = False) -> "CallTree":
    """The exact call tree, of all threads together or of each. Raises as `analyze`."""
    found: CallTree = _ask("call_tree", path, pid, *((True,) if by_thread else ()))
    return found


def line_rows(path: str, pid: int | None = None) -> "LineRows":
    """The event log by line. Raises as `analyze`."""
    found: LineRows = _ask("line_rows", path, pid)
    return found


def open_log(path: str) -> "Log":
    """The event log's rows. Raises TraceFileError."""
    reader = _reader()
    _require_file(path)
    try:
        log: Log = reader.Log(path)
    except (reader.FormatError, OSError) as exc:
        raise _unreadable(path, exc) from exc
    return log


def _ask(function: str, path: str, pid: int | None, *more: "Any") -> "Any":
    reader = _reader()
    _require_file(path)
    try:
        return getattr(reader, function)(path, pid, *more)
    except (reader.FormatError, OSError) as exc:
        raise _unreadable(path, exc) from exc
    except (ValueError, OverflowError) as exc:
        if pid is None:
            raise _unreadable(path, exc) from exc
        raise UsageError(
            f"{path}: no process {pid} in this trace; `pymemtrace info` lists the processes it has"
        ) from exc


def samples(path: str) -> "list[Sample]":
    """The recorder's samples of RSS, in file order. Raises TraceFileError."""
    reader = _reader()
    _require_file(path)
    try:
        found: list[Sample] = reader.samples(path)
    except (reader.FormatError, OSError) as exc:
        raise _unreadable(path, exc) from exc
    return found


def _reader() -> "ModuleType":
    try:
        from pymemtrace import _analysis
    except ImportError as exc:
        raise PymemtraceError(
            f"the extension pymemtrace._analysis cannot be loaded ({_one_line(exc)}); build it again with "
            "`pip install --force-reinstall .` in its source folder"
        ) from exc
    return _analysis


def _require_file(path: str) -> None:
    """Refuse what is no regular file before it is opened: a FIFO would block and /dev/zero never ends."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as exc:
        raise _unreadable(path, exc) from exc
    if stat.S_ISDIR(mode):
        raise TraceFileError(f"{path}: is a directory; give a trace file (*.pmt)")
    if not stat.S_ISREG(mode):
        raise TraceFileError(f"{path}: not a regular file; save the trace to disk first")


def _unreadable(path: str, exc: Exception) -> TraceFileError:
    remedy = "; give a trace file (*.pmt) that `pymemtrace run` wrote" if isinstance(exc, FileNotFoundError) else ""
    return TraceFileError(f"{path}: {getattr(exc, 'strerror', None) or _one_line(exc)}{remedy}")


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
