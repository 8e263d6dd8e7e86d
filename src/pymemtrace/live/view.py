"""What the screen shows, made from the trace as it is written so far. One reading of the file is one view."""

import os
from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pymemtrace.report import facts, held, load, timeline
from pymemtrace.report.timeline import Owner, Timeline
from pymemtrace.report.units import duration
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from pymemtrace._analysis import History
    from pymemtrace.report.model import ProcessRow

GROWTH_S = 10  # growth is that of so many seconds
_MOMENTS = 1000
LAYERS = 5  # owners that have a layer of the curve


class Row(NamedTuple):
    """What an owner holds, by how much that changed in the last GROWTH_S seconds, and what it touched: bytes."""

    owner: Owner
    resident: int
    growth: int
    touched: int


@dataclass(frozen=True)
class View:
    """Of the processes of a trace, or of the one of `trace.pid`."""

    trace: TraceFile
    times: list[int]  # ns, the last is now
    found: "History"

    @property
    def now_s(self) -> float:
        """Up to when the trace was read, seconds."""
        return self.times[-1] / 1e9

    @cached_property
    def processes(self) -> "list[tuple[ProcessRow, int]]":
        """Those that are there, with their RSS, the largest first."""
        rows = [
            (row, books[0] or 0)
            for row, books in zip(self.trace.processes, self.found["held"][-1], strict=True)
            if self.trace.pid in (None, row.pid) and row.end_ns is None and row.start_ns <= self.times[-1]
        ]
        return sorted(rows, key=lambda row: (-row[1], row[0].pid))

    @property
    def cgroup(self) -> tuple[int | None, int | None]:
        """Use and limit of the container, bytes."""
        usage, limit = self.found["cgroup"][-1]
        return (None if usage is None else usage * 1024), (None if limit is None else limit * 1024)

    @cached_property
    def _history(self) -> dict[str, Timeline]:
        return {}

    def history(self, by: str) -> Timeline:
        """RSS over time, and the owners that held most at once."""
        if by not in self._history:
            self._history[by] = timeline.of_history(self.trace, by, LAYERS, self.times, self.found)
        return self._history[by]

    def rows(self, by: str) -> list[Row]:
        """What each owner holds now."""
        sums = self._sums
        names = timeline.owner_names(self.trace, self.found, by)
        rows: dict[Owner, list[int]] = {}
        for owner, values in sums.items():
            row = rows.setdefault(names[owner], [0, 0, 0])
            for at, value in enumerate(values):
                row[at] += value
        return [Row(owner, *values) for owner, values in rows.items()]

    @cached_property
    def _sums(self) -> dict[int, list[int]]:
        """By the number of the owner: resident, growth, touched."""
        since = next(at for at, time in enumerate(self.times) if time >= self.times[-1] - GROWTH_S * 10**9)
        columns = (array("q", self.found[column]) for column in ("owner", "moment", "resident", "touched"))
        sums: dict[int, list[int]] = {}
        for owner, moment, resident, touched in zip(*columns, strict=True):
            row = sums.setdefault(owner, [0, 0, 0])
            row[0] += resident
            row[2] += touched
            if moment > since:
                row[1] += resident
        return sums

    @cached_property
    def threads(self) -> list[tuple[int, str, int]]:
        """Number, name and bytes held of each thread that holds any, the largest first."""
        sums: dict[int, int] = {}
        for owner, values in self._sums.items():
            who = self.found["owners"][owner]
            if who is not None:
                sums[who[1]] = sums.get(who[1], 0) + values[0]
        rows = [(*self.found["threads"][thread][1:], value) for thread, value in sums.items() if value > 0]
        return sorted(rows, key=lambda row: (-row[2], row[0]))

    @property
    def note(self) -> str:
        """What is not known of this moment."""
        number = self.trace.result["at_process"]
        name = facts.engine_of(self.trace.result)[0]
        looked = [
            end
            for process, _kind, _t, end, error, _n in self.trace.result["snapshots"]
            if process == number and end and not error
        ]
        if name == facts.TIMER or not looked:
            return held.not_known(self.trace.result, number, self.times[-1]) or ""
        ago = max(self.times[-1] - max(looked), 0)
        return f"pages last looked up {duration(ago)} before: what single lines gave back since is not known yet"


def read(path: str, pid: int | None) -> View:
    """The trace as it is now. Raises TraceFileError, and UsageError if it has no such process."""
    trace = TraceFile(path, pid)
    result = trace.result
    now = result["end_ns"] if result["complete"] else result["duration_ns"]
    times = {now * point // (_MOMENTS - 1) for point in range(_MOMENTS)}
    times |= {time for time in (result["peak_ns"], now - GROWTH_S * 10**9) if 0 <= time <= now}
    moments = sorted(times)
    return View(trace, moments, load.history(path, pid, moments, result["read"]))


def resident(pid: int) -> int | None:
    """RSS of a process at this moment, bytes; None: it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError):
        return None
