"""The head and the closing line that every text report of a trace shares."""

from typing import TYPE_CHECKING

from rich.text import Text

from pymemtrace.report import facts
from pymemtrace.report.console import pairs
from pymemtrace.report.text import Shortener, clean, clip, quote_argument
from pymemtrace.report.units import duration, kib, optional_size, share, size

if TYPE_CHECKING:
    from pymemtrace.report.model import At, Rss
    from pymemtrace.tracefile import TraceFile

_COMMAND_LIMIT = 1000


def head(trace: "TraceFile") -> list[Text]:
    """Facts about the run: command, when, Python, kernel, engine, end, RSS, losses."""
    return pairs(items(trace))


def items(trace: "TraceFile") -> list[tuple[str, str]]:
    """The same, as names and texts."""
    found = [
        ("command", command_text(trace.command)),
        ("started", f"{trace.started:%Y-%m-%d %H:%M:%S} UTC, ran {duration(trace.result['duration_ns'])}"),
        ("ended", facts.end_text(trace.end.kind, trace.end.value)),
        ("python", _python(trace)),
        ("kernel", clean(trace.kernel) or "unknown"),
        ("engine", engine_text(trace)),
        ("RSS", rss_text(trace.rss)),
        ("shown", shown_text(trace)),
    ]
    return found + _optional(trace)


def command_text(command: list[str]) -> str:
    """The command as it could be typed, without control characters."""
    return clip(" ".join(quote_argument(word) for word in command), _COMMAND_LIMIT) or "unknown"


def engine_text(trace: "TraceFile") -> str:
    """The engine and why it is not a better one."""
    e = trace.engine
    return clean(facts.engine_text(e.name, e.reason, e.period, e.period_changes))


def rss_text(rss: "Rss") -> str:
    """Resident set size at the start, at most and at the end."""
    return f"start {optional_size(rss.start)}, peak {peak_text(rss)}, end {optional_size(rss.end)}"


def peak_text(rss: "Rss") -> str:
    """The highest resident set size."""
    return ("≥ " if rss.peak_at_least else "") + optional_size(rss.peak)


def shown_text(trace: "TraceFile") -> str:
    """The quantity of the tables and its moment."""
    at = trace.at
    if at is None:
        return "touched: memory handed out, also what was given back later"
    word = {"peak": "RSS was highest", "end": "the program ended"}.get(at.kind)
    if at.kind == "name":
        word = f"the snapshot {trace.at_name!r} was taken"
    when = duration(round(at.time_s * 1e9))
    return clean(f"resident when {word}, after {when}" if word else f"resident after {when}")


def limit_text(trace: "TraceFile") -> str | None:
    """The container's memory limit and use; None where there is no limit."""
    limit, peak = trace.result["limit_kib"], trace.result["cgroup_peak_kib"]
    if limit is None:
        return None
    return f"{size(limit * 1024)}, highest use {optional_size(None if peak is None else peak * 1024)}"


def closing(trace: "TraceFile") -> list[Text]:
    """The line that closes the books, in whole KiB so that it can be added up by hand."""
    if trace.at is not None:
        return _closing_at(trace, trace.at)
    t = trace.touched
    lines = sum(row.self_bytes for row in trace.by_line)
    sum_text = f"touched {size(t.total)}: {kib(t.total)} = lines {kib(lines)} + kernel {kib(t.kernel)}"
    sum_text += f" + tracer {kib(t.tracer)}" + (f" + left out {kib(t.left_out)}" if t.left_out else "")
    texts = [Text(sum_text, style="bold")]
    if lines + t.kernel + t.tracer + t.left_out != t.total:
        # Not expected from any trace; if it happens the reader must know before trusting a row.
        gap = t.total - lines - t.kernel - t.tracer - t.left_out
        texts.append(Text(f"the sum does not close: {gap:+,} B unaccounted for; please report this", style="bold red"))
    if t.by_time:
        event = facts.event_word(trace.result)
        texts.append(
            Text(f"by time {size(t.by_time)} ({share(t.by_time, t.total)}): grew between two {event}s of a thread")
        )
    return texts


def _closing_at(trace: "TraceFile", at: "At") -> list[Text]:
    """The same for what was resident."""
    parts = [
        ("before start", at.before_start),
        ("owned", at.owned),
        ("file", at.file),
        ("shared", at.shared),
        ("kernel", at.kernel),
        ("tracer", at.tracer),
    ]
    total = "RSS not read" if at.rss is None else f"RSS {size(at.rss)}: {kib(at.rss)}"
    gap = f" {'-' if at.unexplained < 0 else '+'} unexplained {kib(abs(at.unexplained))}"
    line = f"{total} = " + " + ".join(f"{name} {kib(value)}" for name, value in parts) + gap
    band = f" (RSS as the system says it, ± {size(at.error_band)})" if at.error_band else ""
    texts = [Text(line + band, style="bold")]
    if at.owned:
        found = [("exact", at.exact), ("by fill", at.fill), ("by time", at.by_time)]
        how = ", ".join(f"{name} {size(value)} ({share(value, at.owned)})" for name, value in found)
        texts.append(Text(f"owned was found: {how}"))
    others = [p for p in trace.processes if p.at and p.at.owned]
    if trace.pid is None and len(others) > 1:
        owned = sum(p.at.owned for p in others if p.at)
        texts.append(Text(f"that is the first process; the tables sum {len(others)} processes: owned {kib(owned)}"))
    if trace.not_known:
        texts.append(Text(clean(trace.not_known), style="yellow"))
    return texts + _not_returned(trace.allocators, "then" if trace.at_name is not None else "at the end")


def _not_returned(values: dict[str, int], when: str) -> list[Text]:
    """What the allocators hold and do not use."""
    texts = []
    if "pymalloc_arenas" in values and "pymalloc_used" in values:
        held, used = size(values["pymalloc_arenas"]), size(values["pymalloc_used"])
        text = f"freed but not returned, {when}: CPython's arenas hold {held}, in use {used}"
        texts.append(f"{text} (which line freed the rest they cannot tell)")
    if "malloc_held" in values and "malloc_free" in values:
        held, free = size(values["malloc_held"]), size(values["malloc_free"])
        text = f"freed but not returned, {when}: the C allocator holds {held}, free {free}"
        if "malloc_trimmable" in values:
            text += f", malloc_trim would give back {size(values['malloc_trimmable'])} (the heap's top) to {free}"
        texts.append(f"{text} (whether free pages are resident it cannot tell)")
    return [Text(text, style="dim") for text in texts]


def process_lines(trace: "TraceFile") -> list[Text]:
    """With --pid: which process the rows are about."""
    found = [p for p in trace.processes if p.pid == trace.pid]
    return [
        line
        for p in found
        for line in pairs(
            [
                ("process", f"{p.pid}, child of {p.parent}; {facts.end_text(p.end.kind, p.end.value)}"),
                ("its RSS", rss_text(p.rss)),
            ]
        )
    ]


def shortener(trace: "TraceFile", full_paths: bool) -> Shortener:
    """How the trace's paths are shown."""
    return Shortener([] if full_paths else facts.folders(trace.result))


def _python(trace: "TraceFile") -> str:
    words = [trace.meta.get("implementation", ""), trace.python]
    text = " ".join(word for word in words if word) or "unknown"
    allocator = next((p.meta["allocator"] for p in trace.processes if p.meta.get("allocator")), "")
    return clean(text + (f", allocator {allocator}" if allocator else ""))


def _optional(trace: "TraceFile") -> list[tuple[str, str]]:
    items = []
    limit = limit_text(trace)
    if limit:
        items.append(("limit", limit))
    lost = facts.losses(trace.result)
    if lost:
        items.append(("lost", lost))
    left_out = facts.left_out(trace.result)
    if left_out:
        items.append(("left out", left_out))
    if not trace.complete:
        result = trace.result
        items.append(("file", f"cut off: good up to {size(result['good_bytes'])} of {size(result['file_bytes'])}"))
    return items
