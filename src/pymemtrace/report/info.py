"""The text of `pymemtrace info`: facts about the trace file and the run."""

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.report import eventlog, facts, header
from pymemtrace.report.console import pairs, rows_table
from pymemtrace.report.text import clean, label
from pymemtrace.report.units import count, duration, size

if TYPE_CHECKING:
    from pymemtrace.report.model import ProcessRow
    from pymemtrace.tracefile import TraceFile

_THREADS_SHOWN = 50
_NAMES_SHOWN = 10


def report(trace: "TraceFile", sample_count: int) -> list[RenderableType]:
    """Everything that `pymemtrace info` prints, in order."""
    parts: list[RenderableType] = [*pairs(_file_facts(trace, sample_count)), Text(""), *header.head(trace)]
    for process in trace.processes:
        parts += [Text(""), Text(f"Process {process.pid}", style="bold"), *pairs(_process_facts(trace, process))]
    parts += [Text(""), *_threads(trace), Text("")]
    why = facts.why_empty(trace.result)
    if why:
        parts.append(Text(clean(why), style="yellow"))
    return [*parts, *header.closing(trace)]


def _file_facts(trace: "TraceFile", sample_count: int) -> list[tuple[str, str]]:
    r = trace.result
    major, minor = r["version"]
    by = trace.meta.get("pymemtrace", "")
    items = [
        ("file", clean(trace.path)),
        ("format", f"version {major}.{minor}" + (f", written by pymemtrace {clean(by)}" if by else "")),
        ("size", _size_text(trace)),
        ("complete", "yes" if trace.complete else "no: the file was cut off, it ends without a trailer"),
        (f"{facts.event_word(r)}s", _events_text(trace)),
        *_log_facts(trace),
        ("samples", f"{sample_count:,} of RSS"),
        ("stacks", f"{len(r['tree']):,} nodes of the call tree, {count(len(r['functions']), 'function')}"),
        ("page size", size(r["page_size"])),
    ]
    if trace.meta.get("cwd"):
        items.append(("folder", clean(trace.meta["cwd"])))
    if trace.meta.get("user"):
        items.append(("user id", clean(trace.meta["user"])))
    return items


def _size_text(trace: "TraceFile") -> str:
    r = trace.result
    text = f"{size(r['file_bytes'])} ({r['file_bytes']:,} B)"
    return text if r["good_bytes"] == r["file_bytes"] else f"{text}, good up to byte {r['good_bytes']:,}"


def _events_text(trace: "TraceFile") -> str:
    r = trace.result
    text = f"{r['signals']:,} recorded"
    if r["signals"] and not _logged(trace):  # an event log's bytes are hardly theirs
        text += f", {r['fault_bytes'] / r['signals']:.1f} bytes each in the file"
    if facts.event_word(r) == "tick":
        return f"{text}, of {facts.events(r):,} in all"
    estimated = sum(p.faults for p in trace.processes)
    return text if estimated == r["signals"] else f"{text}, standing for {estimated:,}"


def _log_facts(trace: "TraceFile") -> list[tuple[str, str]]:
    """Events in the file, and what one takes; faults and samples are in these bytes too."""
    events = _logged(trace)
    if not events:
        return []
    each = trace.result["fault_bytes"] / events
    return [("events", f"{events:,} in the log, {each:.2f} bytes each with the faults and samples beside them")]


def _logged(trace: "TraceFile") -> int:
    left_out = trace.result["left_out"][4] if trace.result["left_out"] else 0
    return sum(p.counters.get("events", 0) for p in trace.processes) - left_out


def _process_facts(trace: "TraceFile", process: "ProcessRow") -> list[tuple[str, str]]:
    e, counters = process.engine, process.counters
    ticks = e.name == facts.TIMER
    event = "tick" if ticks else "fault"
    items = [
        ("parent", str(process.parent)),
        ("ran", _lifetime(trace, process)),
        ("ended", facts.end_text(process.end.kind, process.end.value)),
        ("engine", clean(facts.engine_text(e.name, e.reason, e.period, e.period_changes))),
        ("RSS", header.rss_text(process.rss)),
        ("touched", size(process.touched) + ("" if ticks else f" in {count(process.faults, 'fault')}")),
    ]
    items += _snapshots(trace, process)
    if "rss_hwm_kib" in counters:
        items.append(("kernel's peak", f"{size(counters['rss_hwm_kib'] * 1024)} (VmHWM)"))
    if "tracer_pages" in counters:
        items.append(("tracer", f"{size(counters['tracer_pages'] * trace.result['page_size'])} of its own pages"))
    if "unowned_pages" in counters:
        pages = counters["unowned_pages"] * trace.result["page_size"]
        items.append(("unowned", f"{size(pages)} grew without a {event} that explains it"))
    if counters.get("fault_cost_ns"):
        items.append(("cost", f"{duration(counters['fault_cost_ns'])} a {event}"))
    items.append(("lost", count(counters.get("lost", 0), event)))
    waits = counters.get("waits", 0)
    items.append(("waits", f"{waits:,}" + (f", {duration(counters.get('wait_ns', 0))} in all" if waits else "")))
    return items + eventlog.process_facts(process)


def _snapshots(trace: "TraceFile", process: "ProcessRow") -> list[tuple[str, str]]:
    """How often its pages were looked at, and why; the names of those that were asked for."""
    mine = [s for s in trace.result["snapshots"] if trace.processes[s[0]] is process]
    if not mine:
        return [("snapshots", "none")] if process.traced else []
    words = {"start": "at the start", "fell": "after RSS fell", "asked": "asked for", "end": "at the end"}
    kinds = Counter(facts.SNAPSHOT_KINDS.get(s[1], "") for s in mine)
    text = ", ".join(f"{kinds[kind]} {word}" for kind, word in words.items() if kinds[kind])
    broken = sum(1 for s in mine if s[4])
    names = [f"{label(s[5])} ({duration(s[2])})" for s in mine if s[5]]
    hidden = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return [
        ("snapshots", text + (f"; {broken} not whole" if broken else "")),
        *([("named", ", ".join(names[:_NAMES_SHOWN]) + hidden)] if names else []),
    ]


def _lifetime(trace: "TraceFile", process: "ProcessRow") -> str:
    end_ns = trace.result["duration_ns"] if process.end_ns is None else process.end_ns
    return f"{duration(max(end_ns - process.start_ns, 0))} from {duration(process.start_ns)} on"


def _threads(trace: "TraceFile") -> list[RenderableType]:
    rows = trace.by_thread
    if not rows:
        return [Text("No threads were recorded.")]
    table = rows_table(["pid", "tid", "touched", "faults", "name"], 4)
    for r in rows[:_THREADS_SHOWN]:
        table.add_row(str(r.pid), str(r.tid), size(r.bytes), f"{r.faults:,}", Text(label(r.name)))
    shown = f", the top {_THREADS_SHOWN}" if len(rows) > _THREADS_SHOWN else ""
    return [Text(f"Threads ({len(rows):,}{shown})", style="bold"), Text(""), table]
