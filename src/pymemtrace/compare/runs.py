"""What a comparison keeps of a trace: the books of its first process, its owners, and what a reader must know of it.

The analysis itself is dropped, so comparing many traces takes the memory of one.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymemtrace.compare import owners
from pymemtrace.compare.owners import Key, Share
from pymemtrace.errors import UsageError
from pymemtrace.report import facts
from pymemtrace.report.text import Shortener
from pymemtrace.report.units import size
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from pymemtrace.report.model import Engine, Rss

RESIDENT = ("before_start", "owned", "file", "shared", "kernel", "tracer", "unexplained")
TOUCHED = ("lines", "kernel", "tracer", "left_out")


def require_distinct(verb: str, option: str, paths: Iterable[str]) -> None:
    """One run twice has no noise. Raises UsageError."""
    seen = set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise UsageError(f"{verb}: {path} is given twice behind {option}: give each run's own file")
        seen.add(real)


@dataclass(frozen=True, slots=True)
class Asked:
    """What to read of each trace. at: as TraceFile takes it, None for what was touched; kinds: of owners.KINDS; total:
    owners with all that they called; root: of the first process alone."""

    at: str | float | None = "peak"
    kinds: tuple[str, ...] = owners.KINDS
    total: bool = False
    root: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One trace. Sizes are bytes; the parts, those of RESIDENT or TOUCHED, add up to `whole`."""

    path: str
    command: list[str]
    python: str
    engine: "Engine"
    duration_s: float
    rss: "Rss"
    whole: int  # RSS at the moment, or all that was touched; of the first process
    parts: dict[str, int]
    error_band: int  # by which the system's RSS may lag
    processes: int  # whose owners are summed
    owners: dict[str, dict[Key, Share]]  # by kind
    notes: tuple[str, ...]  # what is missing in it
    shorten: Shortener

    def part(self, name: str) -> int:
        """A part's bytes."""
        return self.parts[name]


def read(path: str, asked: Asked) -> Run:
    """Read a trace. Raises as TraceFile, UsageError where nothing was recorded."""
    trace = TraceFile(path, None, asked.at)
    require_recorded(trace)
    if asked.root and len(trace.processes) > 1:
        trace = TraceFile(path, trace.processes[0].pid, asked.at)
    parts = _resident(trace) if asked.at is not None else _touched(trace)
    return Run(
        path=path,
        command=trace.command,
        python=" ".join(word for word in (trace.meta.get("implementation", ""), trace.python) if word),
        engine=trace.engine,
        duration_s=trace.duration_s,
        rss=trace.rss,
        whole=sum(parts.values()),
        parts=parts,
        error_band=trace.at.error_band if trace.at else 0,
        processes=1 if asked.root else sum(_has_owners(trace, number) for number in range(len(trace.processes))),
        owners={kind: owners.shares(trace, kind, asked.total) for kind in asked.kinds},
        notes=tuple(missing(trace)),
        shorten=Shortener(facts.folders(trace.result)),
    )


def require_recorded(trace: TraceFile) -> None:
    """Raises UsageError if the trace has nothing to compare."""
    if not trace.processes or trace.rss.peak is None:
        why = facts.problem(trace.result) or "it was cut off before the first reading of RSS"
        raise UsageError(f"{trace.path}: nothing to compare: no memory was recorded in this trace ({why})")


def missing(trace: TraceFile) -> list[str]:
    """What is not in the trace, a line each."""
    return [*missing_owners(trace), *missing_rss(trace)]


def missing_owners(trace: TraceFile) -> list[str]:
    """What is not known of owners, a line each."""
    texts = [facts.losses(trace.result), facts.left_out(trace.result), trace.not_known]
    if trace.engine.name == "none":
        texts.append(f"no owners, RSS alone: no engine ran ({trace.engine.reason or 'no reason was recorded'})")
    return [text for text in texts if text]


def missing_rss(trace: TraceFile) -> list[str]:
    """What is not known of RSS, a line each."""
    texts = []
    if not trace.complete:
        good, all_bytes = trace.result["good_bytes"], trace.result["file_bytes"]
        texts.append(f"cut off: good up to {size(good)} of {size(all_bytes)}")
    if trace.at and trace.at.rss is None:
        texts.append("RSS was not read up to this moment: what has no owner is missing")
    return texts


def _has_owners(trace: TraceFile, number: int) -> bool:
    process = trace.processes[number]
    return bool(process.touched if process.at is None else process.at.owned)


def _resident(trace: TraceFile) -> dict[str, int]:
    at = trace.at
    return dict.fromkeys(RESIDENT, 0) if at is None else {part: getattr(at, part) for part in RESIDENT}


def _touched(trace: TraceFile) -> dict[str, int]:
    t = trace.touched
    return {"lines": t.total - t.kernel - t.tracer - t.left_out} | {
        part: getattr(t, part) for part in ("kernel", "tracer", "left_out")
    }
