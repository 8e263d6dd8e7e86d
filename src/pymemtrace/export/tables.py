"""A trace as tables, for the formats that hold tables. Those of events and faults are rows of the log (logtext.py,
arrow_tables.py): they may be longer than memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pymemtrace.errors import ArgumentError
from pymemtrace.export.formats import TABLES
from pymemtrace.report import logtext, modules, timeline
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from pymemtrace._analysis import Log
    from pymemtrace.export.formats import Request

EVENTS, FAULTS, OWNERS, TIMELINE, LINES = NAMES = TABLES
OF_LOG = (EVENTS, FAULTS)
_POINTS, _TOP = 200, 10  # of the timeline: points in time, owners
INT, FLOAT, TEXT = "int", "float", "text"

Cell = str | int | float | None


class Column(NamedTuple):
    name: str
    kind: str  # INT, FLOAT or TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; a cell that is not known is None. Sizes are bytes."""

    columns: list[Column]
    rows: Iterable[tuple[Cell, ...]]


def name_of(trace: TraceFile, asked: str | None) -> str:
    """The table that is meant: events where calls were recorded, else owners. Raises ArgumentError if there is none."""
    if asked not in (None, *NAMES):
        raise ArgumentError(f"table must be one of {', '.join(NAMES)}, not {asked!r}")
    return asked or (EVENTS if trace.has_events else OWNERS)


def read(trace: TraceFile, name: str) -> Table:
    """A table that is not the log's. Owners are those of the trace's moment."""
    return {OWNERS: _owners, TIMELINE: _timeline, LINES: _lines}[name](trace)


def requested(request: "Request", name: str) -> Table:
    """The same, at the moment asked for."""
    trace = request.trace
    if name == OWNERS and request.at is not None:
        trace = TraceFile(trace.path, trace.pid, request.at)
    return read(trace, name)


def log(trace: TraceFile, name: str = EVENTS) -> "Log":
    """The rows of a table of the log."""
    if name == EVENTS:
        return trace.open_log(logtext.Choice(trace.pid))
    from pymemtrace.results import KINDS  # which loads what traces a program

    return trace.open_log(logtext.Choice(trace.pid, kinds=1 << KINDS.index("fault")))


def encodable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot say, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _owners(trace: TraceFile) -> Table:
    module = modules.names_of(trace.result)
    columns = [Column("file", TEXT), Column("line", INT), Column("function", TEXT), Column("module", TEXT)]
    columns += [Column(name, INT) for name in ("self", "total", "faults", "exact", "fill", "by_time")]

    def rows() -> Iterator[tuple[Cell, ...]]:
        for r in trace.by_line:
            found = r.self_bytes, r.total_bytes, r.faults, r.self_bytes - r.fill - r.by_time, r.fill, r.by_time
            yield r.file, r.line, r.function, module(r.file) if r.line is not None else None, *found

    return Table(columns, rows())


def _timeline(trace: TraceFile) -> Table:
    found = timeline.read(trace, "line", _TOP, _POINTS)
    names = ("rss", *timeline.PARTS, "unexplained", "cgroup_usage", "cgroup_limit", *map(encodable, found.owners))
    columns = [Column("time_s", FLOAT), *(Column(name, INT) for name in names)]

    def rows() -> Iterator[tuple[Cell, ...]]:
        for p in found.points:
            parts = (p.parts[part] for part in timeline.PARTS)
            yield p.time_s, p.rss, *parts, p.unexplained, p.cgroup_usage, p.cgroup_limit, *p.owners

    return Table(columns, rows())


def _lines(trace: TraceFile) -> Table:
    names = ("line", "hits", "time_ns", "growth", "release", "change", "largest", "touched_self", "touched")

    def rows() -> Iterator[tuple[Cell, ...]]:
        for r in trace.lines():
            yield r.file, r.line, r.hits, r.time_ns, r.growth, r.release, r.change, r.largest, r.touched_self, r.touched

    return Table([Column("file", TEXT), *(Column(name, INT) for name in names)], rows())
