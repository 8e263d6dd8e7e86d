"""The data of a page (web/src/data.ts describes them)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pymemtrace.page.comparison import comparison
from pymemtrace.page.frames import Frames
from pymemtrace.page.moments import all_moments
from pymemtrace.page.process import Steps, process_object
from pymemtrace.page.sources import sources
from pymemtrace.report import header, load
from pymemtrace.report.units import size

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

SCHEMA = 1
_PROCESSES = 100  # of more, those with the highest peaks

Progress = Callable[[float, str], None]  # the part that is done, what comes next


def document(trace: "TraceFile", with_source: bool, progress: Progress, base: Sequence[str] = ()) -> dict[str, Any]:
    """Everything that the page shows. trace: at its peak; base: traces to compare it with."""
    from pymemtrace import __version__

    result = trace.result
    frames = Frames(result)
    times = all_moments(result)
    progress(0.2, "who held the memory over time")
    steps = Steps(load.history(trace.path, None, times))
    chosen = sorted(
        range(len(result["processes"])), key=lambda each: (each != 0, -result["processes"][each]["rss_peak"], each)
    )[:_PROCESSES]
    processes = []
    for done, number in enumerate(chosen):
        progress(0.5 + 0.4 * done / len(chosen), f"process {result['processes'][number]['pid']}")
        processes.append(process_object(trace, number, times, steps, frames))
    progress(0.9, "source lines")
    band = trace.at.error_band if trace.at else 0
    return {
        "schema": SCHEMA,
        "title": header.command_text(trace.command),
        "generator": f"pymemtrace {__version__}",
        "header": [
            *header.items(trace),
            ("error band", f"± {size(band)}" if band else "none: this kernel counts RSS exactly"),
        ],
        "closing": [text.plain for text in header.closing(trace)],
        "frames": frames.rows,
        "processes": processes,
        "sources": _sources(trace, frames, processes) if with_source else {},
        "comparison": comparison(base, trace.path) if base else None,
    }


def _sources(trace: "TraceFile", frames: Frames, processes: list[dict[str, Any]]) -> dict[str, dict[str, object]]:
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
