"""Who holds the memory at a moment: the books of each process, made from the analysis (see _analysis.pyi)."""

import errno
import os
from typing import TYPE_CHECKING

from pymemtrace.errors import UsageError
from pymemtrace.report.model import At
from pymemtrace.report.units import parse_seconds

if TYPE_CHECKING:
    from pymemtrace._analysis import At as Asked
    from pymemtrace._analysis import Held, Result

_ASKED_FOR, _AT_END = 3, 4  # kinds of snapshots

_OLDEST = "who gave memory back is not known: it is taken from the oldest growth"


def moment(at: str | float | None) -> "Asked | None":
    """What was asked for, as the C analysis takes it: "peak", "end", seconds, the name of a snapshot; None: touched."""
    if at is None:
        return None
    if isinstance(at, str):
        return (at,) if at in ("peak", "end") else ("name", at)
    if not 0 <= at < 1e9:
        raise UsageError(f"{at:g} is no time in a trace: give seconds, 0 or more")
    return ("time", round(at * 1e9))


def parse(text: str) -> str | float:
    """The value of --at: a number is seconds."""
    found = parse_seconds(text)
    return text if found is None else found


def names(result: "Result") -> list[str]:
    """The names of the snapshots that were asked for, in order."""
    return list(dict.fromkeys(name for _process, kind, *_times, name in result["snapshots"] if kind == _ASKED_FOR))


def require(result: "Result", at: "Asked | None", path: str) -> None:
    """Raises UsageError if the trace has no such moment."""
    if result["at_ns"] is not None and result["at_ns"] > result["duration_ns"]:
        ran, asked = result["duration_ns"] / 1e9, result["at_ns"] / 1e9
        raise UsageError(f"{path}: the trace ends after {ran:.3f} s; {asked:g} s is later")
    if at is None or at[0] != "name" or result["held"] is not None or not result["processes"]:
        return
    have = ", ".join(names(result))
    known = f"it has {have}" if have else 'it has none (`pymemtrace.snapshot("name")` takes one)'
    raise UsageError(f"{path}: no snapshot {str(at[-1])!r} in this trace; {known}. Or give peak, end or seconds")


def books(result: "Result", number: int, at: "Asked") -> At | None:
    """What process `number` held; None: not asked for."""
    if not result.get("held"):
        return None
    rss, before, file, shared, hidden, tracer, exact, fill, by_time = _of(result, number)
    owned = exact + fill + by_time
    if at[0] == "time" and unread(result, result["at_ns"] or 0):
        rss = None
    known = before + owned + file + shared + hidden + tracer
    return At(
        kind=at[0],
        time_s=(result["at_ns"] or 0) / 1e9,
        rss=rss,
        before_start=before,
        owned=owned,
        file=file,
        shared=shared,
        kernel=hidden,
        tracer=tracer,
        unexplained=0 if rss is None else rss - known,
        error_band=result["rss_lag"],
        exact=exact,
        fill=fill,
        by_time=by_time,
        note=not_known(result, number),
    )


def unread(result: "Result", time_ns: int) -> bool:
    """Whether the file has no reading of RSS any more at a time."""
    return result["left_out"] is not None and time_ns > result["left_out"][0]


def not_known(result: "Result", number: int, at_ns: int | None = None) -> str | None:
    """What cannot be known of a process's pages, in one line; None: nothing that should be.

    at_ns: when; by default at the moment that the result is about.
    """
    process, at = result["processes"][number], result["at_ns"] if at_ns is None else at_ns
    meta, gone = process["meta"], process["end"][2] if process["end"] else None
    if at is not None and (at < process["start_ns"] and number or gone is not None and at > gone):
        return f"process {process['pid']} was not there then"
    mine = [row for row in result["snapshots"] if row[0] == number]
    if not mine:
        reason = meta.get("snapshots_reason", "")
        why = f" ({reason})" if reason else ""
        return f"no residency snapshots{why}: {_OLDEST}"
    left_out = result["left_out"]
    if left_out and at is not None and at > left_out[0]:
        return f"left out: what was touched after {left_out[0] / 1e9:.3f} s is in no owner's bytes"
    if meta.get("engine") == "timer":
        return f"the timer sees no addresses: pages are given to the lines that ran when RSS grew; {_OLDEST}"
    last = max((end for _process, _kind, _time, end, error, _name in mine if end and not error), default=0)
    at_end = any(kind == _AT_END for _process, kind, *_rest in mine)
    if at is not None and at > last and not at_end:
        why = "the process was gone" if process["end"] else "the file ends before"
        return f"no snapshot at the end ({why}): what went after {last / 1e9:.3f} s is not known"
    if at is not None and at > last and at_end and at > result["end_ns"]:
        return "the program was exiting then: what it gave back meanwhile nobody saw"
    cut = any(kind == _AT_END and error == errno.ETIME for _process, kind, _time, _end, error, _name in mine)
    if cut and at is not None and at > last:
        return (
            "the snapshot at the end is not whole (there was no more time: the program's exit waits 200 ms at most): "
            f"of the pages that it did not reach, what went after {last / 1e9:.3f} s is not known"
        )
    # One that gave way to another says nothing that the other does not.
    broken = [error for _process, _kind, _time, _end, error, _name in mine if error and error != errno.ECANCELED]
    errors = [os.strerror(error) for error in broken]
    if errors:
        return f"{len(errors)} of {len(mine)} residency snapshots are not whole ({errors[-1]})"
    return None


def _of(result: "Result", number: int) -> "Held":
    held = result["held"]
    return held[number] if held else (None, 0, 0, 0, 0, 0, 0, 0, 0)
