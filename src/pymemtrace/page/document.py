"""The data of a page (web/src/data.ts describes them)."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pymemtrace.page.comparison import comparison
from pymemtrace.page.frames import Frames
from pymemtrace.page.moments import all_moments
from pymemtrace.page.process import Steps, process_object
from pymemtrace.page.sources import sources
from pymemtrace.report import header, load
from pymemtrace.report.units import size
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from pymemtrace._analysis import Result

SCHEMA = 1
_PROCESSES = 100  # of more, those with the highest peaks
_CHANGES = 360_000  # of all processes together, 22 bytes each; no process gets more than three quarters of the rest
_EVENTS_READ = 250_000_000  # for each process whose calls are shown all events of the trace are read: seconds

Progress = Callable[[float, str], None]  # the part that is done, what comes next


class _AtPeak(TraceFile):
    """A trace whose facts are those of the peak of RSS, and without rows.

    The books come from the history, which the page needs anyway: asking the analysis for them takes as long again.
    """

    def close(self, times: list[int], steps: Steps) -> None:
        """Before any fact is asked for. times: ns, the peak among them."""
        moment = min(bisect_left(times, self._result["peak_ns"]), len(times) - 1)
        self._moment = ("peak",)
        self._result = {**self._result, "at_ns": times[moment], "held": steps.history["held"][moment]}


def document(path: str, with_source: bool, progress: Progress, base: Sequence[str] = ()) -> dict[str, Any]:
    """Everything that the page shows. base: traces to compare it with. Raises as TraceFile, UsageError."""
    from pymemtrace import __version__

    progress(0.0, "reading")
    trace = _AtPeak(path)
    result = trace.result
    frames = Frames(result)
    times = all_moments(result)
    progress(0.1, "who held the memory over time")
    steps = Steps(load.history(path, None, times, result["read"]))
    trace.close(times, steps)
    chosen = sorted(
        range(len(result["processes"])), key=lambda each: (each != 0, -result["processes"][each]["rss_peak"], each)
    )[:_PROCESSES]
    logged = _logged(trace, chosen)
    processes: list[dict[str, Any]] = []
    room = _CHANGES
    for done, number in enumerate(chosen):
        progress(0.5 + 0.4 * done / len(chosen), f"process {result['processes'][number]['pid']}")
        processes.append(process_object(trace, number, times, steps, frames, number in logged, 3 * room // 4))
        room -= len(processes[-1]["changes"]["node"])
    progress(0.9, "source lines")
    band = trace.at.error_band if trace.at else 0
    return {
        "schema": SCHEMA,
        "title": header.command_text(trace.command),
        "generator": f"pymemtrace {__version__}",
        "header": [
            *header.items(trace),
            *_left_out(result),
            ("error band", f"± {size(band)}" if band else "none: this kernel counts RSS exactly"),
        ],
        "closing": [text.plain for text in header.closing(trace)],
        "frames": frames.rows,
        "processes": processes,
        "sources": _sources(trace, frames, processes) if with_source else {},
        "comparison": comparison(base, trace.path) if base else None,
    }


def _left_out(result: "Result") -> list[tuple[str, str]]:
    whole = len(result["processes"])
    text = f"{whole - _PROCESSES:,} of {whole:,} processes, those with the lowest peaks of RSS"
    return [("not shown", text)] if whole > _PROCESSES else []


def _logged(trace: TraceFile, chosen: list[int]) -> set[int]:
    """The processes whose calls and lines are shown: the first and those with most events, as many as take seconds."""
    if not trace.has_events:
        return set()
    # A trace that was cut off does not know how many.
    events = {number: trace.processes[number].counters.get("events", 1) for number in chosen}
    ranks = sorted((number for number in chosen if events[number]), key=lambda each: (each != 0, -events[each], each))
    return set(ranks[: max(1, _EVENTS_READ // max(sum(events.values()), 1))])


def _sources(trace: TraceFile, frames: Frames, processes: list[dict[str, Any]]) -> dict[str, dict[str, object]]:
    """Of the files that touched most."""
    weights: dict[str, int] = {}
    lines: dict[str, set[int]] = {}
    for process in processes:
        changes = process["changes"]
        for node, touched in zip(changes["node"], changes["touched"], strict=True):
            while node > 0:  # with all callers
                name, line, *_names = frames.rows[process["frame"][node]]
                if line:
                    weights[name] = weights.get(name, 0) + touched
                    lines.setdefault(name, set()).add(line)
                node = process["parent"][node]
        for name, rows in (process["lines"] or {}).items():
            lines.setdefault(name, set()).update(row[0] for row in rows)
    ranks = sorted(lines, key=lambda name: (-weights.get(name, 0), name))
    return sources(((name, frames.files[name], lines[name]) for name in ranks), trace.started.timestamp())
