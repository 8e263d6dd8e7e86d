"""What a trace says of one process's memory, in the order of time: the steps of its replay (residency.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from oracle.records import Fault, Trace
from oracle.residency_records import Move, Resident, Snapshot


class Begin(NamedTuple):
    snapshot: Snapshot


class Look(NamedTuple):
    piece: Resident


class End(NamedTuple):
    snapshot: Snapshot


class Rss(NamedTuple):
    time: int
    pages: int


Step = Fault | Move | Begin | Look | End | Rss


def steps(trace: Trace, process: int) -> Iterator[tuple[int, int, Step]]:
    """(time, order among those of one time, what)"""
    mine = {number for number, thread in enumerate(trace.threads) if thread.process == process}
    for touch in [*trace.faults, *trace.moves]:
        if touch.thread in mine:
            yield touch.time, 0, touch
    readings = [
        *(Rss(s.time, _pages(trace, s.anon + s.file + s.shmem)) for s in trace.samples if s.process == process),
        *(Rss(mark.time, mark.rss) for mark in trace.marks if mark.process == process),
        *(Rss(f.time, f.fell_to) for f in trace.faults if f.thread in mine and f.fell_to is not None),
    ]
    for reading in [*readings, *_untold_peak(trace, process, readings)]:
        yield reading.time, 4, reading
    for snapshot in trace.snapshots:
        if snapshot.process == process:
            yield from _steps_of(trace, snapshot)


def _untold_peak(trace: Trace, process: int, readings: list[Rss]) -> list[Rss]:
    """The highest RSS if no record tells of it: a signal handler read it, or the kernel alone saw it."""
    counters = trace.processes[process].counters
    peak = max(readings, key=lambda reading: reading.pages, default=Rss(0, 0))
    handlers = Rss(counters.get("rss_peak_ns", 0), counters.get("rss_peak_pages", 0))
    found = [handlers] if handlers.pages > peak.pages else []
    since, at = counters.get("rss_hwm_since_ns", 0), counters.get("rss_hwm_ns", 0)
    kernels, highest = _pages(trace, counters.get("rss_hwm_kib", 0)), (found or [peak])[0]
    if at > since and kernels - highest.pages > _untold(trace):
        time = highest.time if since < highest.time < at else since + (at - since) // 2
        return [Rss(time, kernels)]
    return found


def _steps_of(trace: Trace, snapshot: Snapshot) -> Iterator[tuple[int, int, Step]]:
    yield snapshot.time, 1, Begin(snapshot)
    for piece in snapshot.residents:
        yield piece.time, 2, Look(piece)
    if snapshot.end is not None:
        yield snapshot.end, 3, End(snapshot)
        kib = sum(snapshot.kib[:3]) if snapshot.rollup is None else snapshot.rollup
        yield snapshot.end, 4, Rss(snapshot.end, _pages(trace, kib))


def _pages(trace: Trace, kib: int) -> int:
    return kib * 1024 // trace.page_size


def lag(trace: Trace) -> int:
    """By how many pages RSS may lag: 64 a CPU before Linux 6.16."""
    system, _, release = trace.meta.get("kernel", "").partition(" ")
    numbers = [int(number) for number in re.findall(r"\d+", release)[:2]]
    lags = system == "Linux" and len(numbers) == 2 and numbers < [6, 16]
    return _untold(trace) if lags else 0


def _untold(trace: Trace) -> int:
    """Pages that the CPUs may keep to themselves: 64 each."""
    return 64 * int(trace.processes[0].meta.get("cpus", 1))
