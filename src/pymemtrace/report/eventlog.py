"""What a trace says about its event log, and why there is none: shared by the verbs that show it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.text import Text

from pymemtrace.errors import UsageError
from pymemtrace.report import facts, header
from pymemtrace.report.console import pairs
from pymemtrace.report.json_report import SCHEMA, left_out_object
from pymemtrace.report.text import clean
from pymemtrace.report.units import count, duration, size

if TYPE_CHECKING:
    from pymemtrace.report.model import ProcessRow
    from pymemtrace.tracefile import TraceFile

_WORDS = {
    "calls": "calls and returns",
    "lines": "calls, returns and lines",
    "mixed": "calls and returns, in some sections lines too",
}
_C_CALLS = {"no": ", without C calls", "mixed": ", in some sections without C calls"}
_META = (("what", ""), ("c_calls", "_c"), ("rss", "_rss"), ("hooks", "_hooks"))


def require(trace: "TraceFile") -> None:
    """Raise UsageError unless calls were recorded."""
    if trace.result["has_events"]:
        return
    if any("events" in p.meta for p in trace.processes):
        raise UsageError(
            f"{trace.path}: this trace holds no calls: no code ran that --include and --exclude let through"
        )
    reasons = [p.meta["events_reason"] for p in trace.processes if p.meta.get("events_reason")]
    why = f" ({reasons[0]})" if reasons else ""
    raise UsageError(f"{trace.path}: this trace holds no calls{why}; record them with `pymemtrace run --calls`")


def traced(trace: "TraceFile") -> "list[ProcessRow]":
    """The processes that have events, of those with the trace's pid."""
    return [p for p in trace.processes if _has_events(p) and trace.pid in (None, p.pid)]


def _has_events(process: "ProcessRow") -> bool:
    return bool(process.meta.get("events") or process.counters.get("events"))


def head(trace: "TraceFile") -> list[Text]:
    """The head of each report on events: the run, what was recorded, how exact RSS is, what is missing."""
    items = [
        ("command", header.command_text(trace.command)),
        ("ended", facts.end_text(trace.end.kind, trace.end.value)),
        ("RSS", header.rss_text(trace.rss)),
        ("events", _recorded(trace)),
        ("RSS in rows", _exactness(trace)),
    ]
    missing = losses(traced(trace))
    if missing:
        items.append(("lost", missing))
    cut = displaced(traced(trace))
    if cut:
        items.append(("cut short", cut))
    left_out = facts.left_out(trace.result)
    if left_out:
        items.append(("left out", left_out))
    if not trace.complete:
        items.append(("file", "cut off: the log ends where the file ends"))
    return pairs(items)


def losses(processes: "Iterable[ProcessRow]") -> str | None:
    """Events that are missing, in words; None: none are."""
    found = [p.counters for p in processes]
    lost, slotless = (sum(c.get(name, 0) for c in found) for name in ("events_lost", "events_lost_slotless"))
    texts = [f"{count(lost - slotless, 'event')}; rows of kind `lost` stand where they are missing"]
    texts = texts if lost > slotless else []
    return "; ".join(texts + ([facts.slotless_text(slotless, "event")] if slotless else [])) or None


def displaced(processes: "Iterable[ProcessRow]") -> str | None:
    """Threads whose log ends early, in words; None: there are none."""
    found = sum(int(text) for p in processes if (text := p.meta.get("events_displaced", "")).isdecimal())
    why = "the program set a profile or trace function of its own there, or started them without `threading`"
    return f"the log of {count(found, 'thread')}: {why} (Python 3.12 and later have no such limit)" if found else None


def process_facts(process: "ProcessRow") -> list[tuple[str, str]]:
    """What `info` shows of a process's events."""
    meta, counters = process.meta, process.counters
    reason = meta.get("events_reason")
    if not _has_events(process):
        return [("events", f"none: {clean(reason)}")] if reason else []
    items = [("events", f"{counters['events']:,} " if "events" in counters else "")]
    items[0] = ("events", items[0][1] + f"{_what(process)}, by {clean(meta.get('events_hooks', 'unknown'))} hooks")
    for key, word in (("include", "only"), ("exclude", "without")):
        if meta.get(key):
            items.append((word, clean(", ".join(meta[key].split("\0")))))
    cut = displaced([process])
    if cut:
        items.append(("cut short", cut))
    items.append(("events lost", f"{counters.get('events_lost', 0):,}"))
    waits = counters.get("event_waits", 0)
    items.append(
        ("event waits", f"{waits:,}" + (f", {duration(counters.get('event_wait_ns', 0))} in all" if waits else ""))
    )
    if "rss_reads" in counters:
        items.append(
            ("RSS read", f"{counters['rss_reads']:,} times by the hooks ({meta.get('events_rss', 'tracked')})")
        )
    return items


def _what(process: "ProcessRow") -> str:
    words = _WORDS.get(process.meta.get("events", ""), "events")
    return words + _C_CALLS.get(process.meta.get("events_c", ""), "")


def _recorded(trace: "TraceFile") -> str:
    texts = {f"{_what(p)} ({clean(p.meta.get('events_hooks', 'unknown'))} hooks)" for p in traced(trace)}
    return "; ".join(sorted(texts)) or "recorded"


def _exactness(trace: "TraceFile") -> str:
    """How RSS was read, and how far it may be from the truth."""
    modes = {p.meta.get("events_rss", "tracked") for p in traced(trace)}
    text = "read at each event"
    if modes != {"every"}:
        period = trace.engine.period
        which = f"signalled page fault (down to one in {period})" if period and period > 1 else "page fault"
        text = f"read at each {which} and after 20 us of running code; rows between repeat the last value"
    if len(modes) > 1 or "mixed" in modes:
        text = f"in some sections read at each event, else {text}"
    lag = trace.result["rss_lag"]
    return f"{text}; this kernel's figure lags by up to {size(lag)}" if lag else text


def json_head(trace: "TraceFile") -> dict[str, Any]:
    """What the JSON objects about events begin with."""
    return {
        "schema": SCHEMA,
        "command": trace.command,
        "events": {
            str(p.pid): {key: p.meta.get(f"events{end}") for key, end in _META}
            | {name: p.counters.get(name) for name in ("events", "events_lost", "event_waits", "rss_reads")}
            for p in traced(trace)
        },
        "left_out": left_out_object(trace),
    }
