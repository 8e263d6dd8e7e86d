"""What the event log of a trace says, computed slowly from the oracle's decoder: rows, calls, lines, tree.

A frame is followed as an object from its beginning to its end, and asks the whole history of its thread what happened
meanwhile. The C analysis keeps running sums instead; the two have nothing in common but docs/format.md and the
definitions in the guide.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from oracle.frames import line_of
from oracle.records import Code, Event, Fault, Mark, Note, Trace

KINDS = dict(
    enumerate(("call", "return", "yield", "resume", "throw", "unwind", "c_call", "c_return", "c_raise", "line"), 1)
)
BEGIN, END = (1, 4, 5, 7, 12), (2, 3, 6, 8, 9)
SECTION = {2: "begins", 3: "ends", 4: "is suspended", 5: "goes on"}


HIDDEN = -1  # a depth: the section does not show the row

# Whether a section leaves a frame out: its code, whether it is C's, whether the one around it is left out.
Hides = Callable[[Code | None, bool, bool], bool]


class Row(NamedTuple):
    """Of the log; sizes in bytes, t in ns."""

    t: int
    pid: int
    tid: int
    depth: int
    kind: str
    function: str | None
    file: str | None
    line: int | None
    rss: int
    change: int
    extra: object  # a mark's text, lost events, an exception's name, the bytes of a fault


@dataclass
class _Frame:
    code: int
    called: bool
    line: int = 0
    hidden: bool = False


@dataclass
class _Rows:
    """The rows of one thread, or the marks of one process, in order."""

    frames: list[_Frame] = field(default_factory=list)
    rss: int = 0
    latest: int = 0

    def depth(self) -> int:
        return sum(frame.called for frame in [frame for frame in self.frames if not frame.hidden][:-1])


def _code(trace: Trace, process: int, ident: int) -> Code | None:
    return trace.codes.get((process, ident))


def _row(trace: Trace, process: int, tid: int, time: int, depth: int, kind: str, code: Code | None, line: int, **more):
    return Row(
        time,
        trace.processes[process].pid,
        tid,
        depth,
        kind,
        code.name if code else None,
        code.file if code else None,
        line or None,
        more.get("rss", 0) * trace.page_size,
        0,
        more.get("extra"),
    )


def _event_row(trace: Trace, state: _Rows, event: Event, hides: Hides | None) -> Row | None:
    thread = trace.threads[event.thread]
    kind, extra = event.kind, None
    if kind == 11:
        state.rss = event.value
        return None
    if kind == 13:
        del state.frames[-event.value :]
        return None
    if kind in BEGIN:
        around = bool(state.frames) and state.frames[-1].hidden
        hidden = hides is not None and hides(_code(trace, thread.process, event.value), kind == 7, around)
        state.frames.append(_Frame(event.value, kind != 12, hidden=hidden))
        if kind == 12:
            return None
    if kind == 10:
        state.frames[-1].line = event.value
    if kind == 6 and event.value:
        exception = _code(trace, thread.process, event.value)
        extra = exception.name if exception else None
    frame, depth = state.frames[-1], state.depth()
    if kind in END:
        state.frames.pop()
    depth = HIDDEN if frame.hidden else depth
    code = _code(trace, thread.process, frame.code)
    line = frame.line or (code.first_line if code else 0)
    return _row(
        trace, thread.process, thread.tid, event.time, depth, KINDS[kind], code, line, rss=state.rss, extra=extra
    )


def _fault_row(trace: Trace, state: _Rows, fault: Fault) -> Row | None:
    thread, node = trace.threads[fault.thread], trace.nodes[fault.node]
    if fault.rss is not None:
        state.rss = fault.rss
    if fault.tick:
        return None
    known = node.code not in (0, 0xFFFFFFFF)
    code = _code(trace, thread.process, node.code) if known else None
    table = trace.linetables.get((node.process, node.code), b"")
    line = line_of(table, code.first_line if code else 0, node.offset) if known else 0
    extra = fault.rise * trace.page_size
    return _row(
        trace,
        thread.process,
        thread.tid,
        fault.time,
        state.depth(),
        "fault",
        code,
        line,
        rss=fault.rss or 0,
        extra=extra,
    )


def _streams(trace: Trace, hides: Hides | None) -> list[list[tuple[int, Row]]]:
    """(process, row) of the marks of each process, then by thread. Times do not fall."""
    states = [_Rows() for _ in range(len(trace.processes) + len(trace.threads))]
    streams: list[list[tuple[int, Row]]] = [[] for _ in states]
    for item in trace.history:
        number = item.process if isinstance(item, Mark) else len(trace.processes) + item.thread
        state = states[number]
        process = item.process if isinstance(item, Mark) else trace.threads[item.thread].process
        if isinstance(item, Mark):
            if item.kind not in (1, 2):
                continue
            text = "start" if item.kind == 1 else "end"
            pid = trace.processes[process].pid
            row = _row(trace, process, pid, item.time, 0, "mark", None, 0, rss=item.rss, extra=text)
        elif isinstance(item, Event):
            row = _event_row(trace, state, item, hides)
        elif isinstance(item, Fault):
            row = _fault_row(trace, state, item)
        else:
            row = _note_row(trace, state, item)
        if row is not None:
            state.latest = max(state.latest, row.t)
            streams[number].append((process, row._replace(t=state.latest)))
    return streams


def _note_row(trace: Trace, state: _Rows, note: Note) -> Row:
    thread = trace.threads[note.thread]
    if note.what == 6:
        return _row(trace, thread.process, thread.tid, note.time, state.depth(), "lost", None, 0, extra=note.number)
    text = note.text
    if note.what in SECTION:
        text = f"section {note.number} {SECTION[note.what]}" + (f": {note.text}" if note.text else "")
    return _row(trace, thread.process, thread.tid, note.time, state.depth(), "mark", None, 0, rss=state.rss, extra=text)


def log(trace: Trace, pid: int | None = None, hides: Hides | None = None) -> list[Row]:
    """All rows in the order of time; at the same time in the order of their threads."""
    streams = _streams(trace, hides)
    merged = heapq.merge(*([(r.t, n, p, r) for p, r in rows] for n, rows in enumerate(streams)), key=lambda x: x[:2])
    rss: dict[int, int] = {}
    found = []
    for _, _, process, row in merged:
        if pid is not None and row.pid != pid:
            continue
        now = row.rss or rss.get(process, 0)
        change = now - rss[process] if rss.get(process) else 0
        if now:
            rss[process] = now
        found.append(row._replace(rss=now, change=change))
    return found


def with_change(rows: list[Row], least: int) -> list[Row]:
    """Rows that changed RSS by so much, and the row of their process before each."""
    before: dict[int, Row] = {}
    found = []
    for row in rows:
        if abs(row.change) >= least:
            if row.pid in before:
                found.append(before.pop(row.pid))
            found.append(row)
        else:
            before[row.pid] = row
    return found


def section(trace: Trace, pid: int, number: int, lines: bool, c_calls: bool, least: int, files: set[str]) -> list[Row]:
    """A section's rows: while it is on, what moved RSS by `least` since the row before, marks and losses. Without the
    code of these files, and the C functions that it calls.
    """

    def hides(code: Code | None, is_c: bool, around: bool) -> bool:
        return (around or not c_calls) if is_c else code is not None and code.file in files

    found: list[Row] = []
    begun = on = False
    shown = 0
    for row in log(trace, pid, hides):
        what = (
            re.match(r"section (\d+) (begins|ends|is suspended|goes on)", str(row.extra))
            if row.kind == "mark"
            else None
        )
        own = what is not None and int(what[1]) == number
        if what is not None and not own:
            continue
        if own:
            begun = begun or what[2] == "begins"
            on = begun and what[2] in ("begins", "goes on", "ends")
        elif not on or row.depth == HIDDEN or (row.kind == "line" and not lines):
            continue
        if not begun or (row.kind not in ("mark", "lost") and abs(row.rss - shown) < least):
            continue
        found.append(row._replace(change=row.rss - shown if shown else 0))
        shown = row.rss
        if own and what[2] == "ends":
            break
    return found


# Aggregates


@dataclass
class _Span:
    """A frame, or a line of it, from its beginning to its end: indices into its thread's history."""

    key: object
    begin: int
    parent: _Span | None
    counted: bool
    end: int = 0


@dataclass
class _Moment:
    """Of a thread's history: what came about by this event or fault, in the frame that was the innermost until then."""

    time: int
    change: int = 0
    touched: int = 0
    top: object = None


@dataclass
class Sums:
    calls: int = 0
    time_self: int = 0
    time: int = 0
    growth_self: int = 0
    growth: int = 0
    release_self: int = 0
    release: int = 0
    touched_self: int = 0
    touched: int = 0
    largest: int = 0


def _threads(trace: Trace, pid: int | None) -> Iterator[tuple[int, list[Event | Fault]]]:
    for number, thread in enumerate(trace.threads):
        if pid is None or trace.processes[thread.process].pid == pid:
            yield (
                thread.process,
                [x for x in trace.history if isinstance(x, (Event, Fault)) and x.thread == number],
            )


def _moments(history: list[Event | Fault]) -> list[_Moment]:
    """One for each item. Time passes with events only; the first RSS that is known is no change."""
    moments, time, rss = [], 0, 0
    for item in history:
        change = touched = 0
        if isinstance(item, Fault):
            touched = item.rise
        else:
            time = item.time
        now = item.rss if isinstance(item, Fault) else item.value if item.kind == 11 else rss
        if now is not None and now != rss:
            change, rss = (now - rss if rss else 0), now
        moments.append(_Moment(time, change, touched))
    return moments


def _measure(moments: list[_Moment], span: _Span) -> tuple[int, int, int, int, int]:
    """time, growth, release, touched, largest rise of a span."""
    growth = release = touched = height = largest = 0
    for moment in moments[span.begin + 1 : span.end + 1]:
        growth += max(moment.change, 0)
        release += max(-moment.change, 0)
        touched += moment.touched
        height += moment.change
        largest = max(largest, height)
    return moments[span.end].time - moments[span.begin].time, growth, release, touched, largest


def _spans(trace: Trace, process: int, history: list[Event | Fault], lines: bool) -> tuple[list[_Span], list[object]]:
    """The spans of a thread's functions or lines in the order of their beginning, and the innermost key before each
    item."""
    found: list[_Span] = []
    stack: list[tuple[object, _Span | None]] = []  # the frame's code, its present span
    tops: list[object] = []

    def close(index: int) -> None:
        _, span = stack.pop()
        if span is not None:
            span.end = index

    for index, item in enumerate(history):
        tops.append(stack[-1][0] if stack else None)
        if isinstance(item, Fault):
            continue
        if item.kind in BEGIN:
            code = (process, item.value)
            span = None
            if not lines:
                parent = stack[-1][1] if stack else None
                span = _Span(code, index, parent, item.kind in (1, 7))
                found.append(span)
            stack.append((code, span))
        elif item.kind in END:
            close(index)
        elif item.kind == 13:
            for _ in range(item.value):
                close(index)
        elif item.kind == 10 and lines:
            code, span = stack[-1]
            if span is not None:
                span.end = index
            named = trace.codes.get(code)
            span = _Span((named.file, item.value), index, None, True) if named else None
            if span is not None:
                found.append(span)
            stack[-1] = (code, span)
    while stack:
        close(len(history) - 1)
    return found, tops


def _outermost(spans: list[_Span], span: _Span) -> bool:
    return not any(
        other is not span and other.key == span.key and other.begin < span.begin and other.end >= span.end
        for other in spans
    )


def calls(trace: Trace, pid: int | None = None) -> dict[tuple[str, int, str], Sums]:
    """By file, first line and name; sizes in bytes."""
    by_code: dict[object, Sums] = defaultdict(Sums)
    for process, history in _threads(trace, pid):
        moments = _moments(history)
        spans, tops = _spans(trace, process, history, lines=False)
        for index, (moment, top) in enumerate(zip(moments, tops, strict=True)):
            if top is not None:
                row = by_code[top]
                row.time_self += moment.time - moments[index - 1].time
                row.growth_self += max(moment.change, 0)
                row.release_self += max(-moment.change, 0)
                row.touched_self += moment.touched
        _add_spans(by_code, moments, spans)
    for summary in trace.summaries:
        if pid is None or trace.processes[summary.process].pid == pid:
            _merge(by_code[summary.process, summary.code], Sums(*summary.values, summary.largest), 1)
    result: dict[tuple[str, int, str], Sums] = defaultdict(Sums)
    for (process, ident), sums in by_code.items():
        code = trace.codes.get((process, ident), Code(0, "", ""))
        _merge(result[code.file, code.first_line, code.name], sums, trace.page_size)
    return dict(result)


def _add_spans(rows: dict[object, Sums], moments: list[_Moment], spans: list[_Span]) -> None:
    for span in spans:
        time, growth, release, touched, largest = _measure(moments, span)
        row = rows[span.key]
        row.calls += span.counted
        row.largest = max(row.largest, largest)
        if _outermost(spans, span):
            row.time += time
            row.growth += growth
            row.release += release
            row.touched += touched


def _merge(to: Sums, sums: Sums, page: int) -> None:
    for name, value in vars(sums).items():
        size = 1 if name in ("calls", "time", "time_self") else page
        joined = max if name == "largest" else int.__add__
        setattr(to, name, joined(getattr(to, name), value * size))


def lines(trace: Trace, pid: int | None = None) -> dict[tuple[str, int], Sums]:
    """By file and line: calls are hits; what is "self" or touched is 0. Sizes in bytes."""
    rows: dict[object, Sums] = defaultdict(Sums)
    for process, history in _threads(trace, pid):
        spans, _ = _spans(trace, process, history, lines=True)
        _add_spans(rows, _moments(history), spans)
    result: dict[tuple[str, int], Sums] = defaultdict(Sums)
    for key, sums in rows.items():
        sums.touched = 0
        _merge(result[key], sums, trace.page_size)  # type: ignore[index]
    return dict(result)


def tree(trace: Trace, pid: int | None = None) -> dict[tuple[object, ...], Sums]:
    """By the path of (process, code id) from the root. Sizes in bytes."""
    rows: dict[tuple[object, ...], Sums] = defaultdict(Sums)
    for process, history in _threads(trace, pid):
        moments = _moments(history)
        spans, _ = _spans(trace, process, history, lines=False)
        for span in spans:
            path, at = (), span
            while at is not None:
                path, at = (at.key, *path), at.parent
            time, growth, release, touched, _ = _measure(moments, span)
            sums = Sums(calls=int(span.counted), time=time, growth=growth, release=release, touched=touched)
            _merge(rows[path], sums, trace.page_size)
    return dict(rows)
