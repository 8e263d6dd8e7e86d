"""The tables of `pymemtrace report`: by line, function, module, file, thread and process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pymemtrace.report import facts, header, load
from pymemtrace.report.console import Bars, rows_table
from pymemtrace.report.text import Shortener, clean, label, location
from pymemtrace.report.units import count, duration, share, size

if TYPE_CHECKING:
    from pymemtrace.report.model import ProcessRow
    from pymemtrace.tracefile import TraceFile

_Row = TypeVar("_Row")

KINDS = ("line", "function", "module", "file", "thread", "process")
# Modules are listed with their files: a table of files beside that of modules says nothing new.
DEFAULT_KINDS = tuple(kind for kind in KINDS if kind != "file")
_GAPS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TableOptions:
    """kinds: which tables, of KINDS; top: rows of each, 0 for all; full_paths: do not shorten file names; bars: what
    draws shares as bars too."""

    kinds: tuple[str, ...] = DEFAULT_KINDS
    top: int = 15
    full_paths: bool = False
    bars: Bars | None = None


class _Sums(Protocol):
    @property
    def self_bytes(self) -> int: ...
    @property
    def total_bytes(self) -> int: ...
    @property
    def faults(self) -> int: ...


def report(trace: "TraceFile", options: TableOptions) -> list[RenderableType]:
    """Everything that `pymemtrace report` prints, in order."""
    parts: list[RenderableType] = [*header.head(trace), *header.process_lines(trace)]
    why = facts.why_empty(trace.result)
    if why:
        parts += [Text(""), Text(clean(why), style="yellow")]
    else:
        shorten = header.shortener(trace, options.full_paths)
        for kind in options.kinds:
            parts += _TABLES[kind](trace, options, shorten)
    return [*parts, Text(""), *header.closing(trace)]


def releases(trace: "TraceFile", options: TableOptions) -> list[RenderableType]:
    """Everything that `pymemtrace report --releases` prints, in order."""
    parts: list[RenderableType] = [*header.head(trace), *header.process_lines(trace), Text("")]
    found = load.releases(trace.path, trace.pid)
    gaps = _release_gaps(trace)
    if not found["count"]:
        asked = any("releases_reason" in p.meta for p in trace.processes)
        hint = "" if asked else ": record them with `pymemtrace run --releases exact`"
        return [*parts, Text(f"No releases in this trace{hint}", style="yellow"), *gaps]
    shorten = header.shortener(trace, options.full_paths)
    rows = sorted(found["lines"], key=lambda r: (-r[4], r))
    table = rows_table(["released", "share", "calls", "function", "file:line"], 3)
    for file, line, function, _first, size_bytes, times in _top(rows, options):
        name, place = label(function or facts.UNKNOWN), _place(file or facts.UNKNOWN, line or None, shorten)
        table.add_row(size(size_bytes), share(size_bytes, found["bytes"]), f"{times:,}", Text(name), Text(place))
    native = found["bytes"] - sum(r[4] for r in rows)
    calls = count(found["count"], "call")
    note = f"released {size(found['bytes'])} in {calls}, {size(native)} of it without a Python frame"
    return [*parts, table, Text(""), Text(note, style="bold"), *gaps]


def _release_gaps(trace: "TraceFile") -> list[Text]:
    """Which processes' releases are not all recorded: from when on, and why."""
    texts = []
    for process in trace.processes:
        gap = facts.releases_until(process.meta) if trace.pid in (None, process.pid) else None
        if gap:
            until, why = gap
            how = (
                "releases not recorded, or not all"
                if until is None
                else f"releases recorded in full until {duration(until)}"
            )
            of = f"process {process.pid}: " if len(trace.processes) > 1 else ""
            texts.append(Text(clean(f"{of}{how}: {why}"), style="yellow"))
    hidden = len(texts) - _GAPS_SHOWN
    return texts if hidden <= 0 else [*texts[:_GAPS_SHOWN], Text(f"and so {hidden:,} more", style="yellow")]


def _by_line(trace: "TraceFile", options: TableOptions, shorten: Shortener) -> list[RenderableType]:
    rows = trace.by_line
    cells = [(*_numbers(r, trace), label(r.function), _place(r.file, r.line, shorten)) for r in _top(rows, options)]
    return _table("line", ["function", "file:line"], cells, rows, trace, options)


def _by_function(trace: "TraceFile", options: TableOptions, shorten: Shortener) -> list[RenderableType]:
    rows = trace.by_function
    cells = [
        (*_numbers(r, trace), label(r.function), _place(r.file, r.first_line, shorten)) for r in _top(rows, options)
    ]
    return _table("function", ["function", "file:first line"], cells, rows, trace, options)


def _by_module(trace: "TraceFile", options: TableOptions, shorten: Shortener) -> list[RenderableType]:
    rows = trace.by_module
    cells = [(*_numbers(r, trace), label(r.module), _place(r.file, None, shorten)) for r in _top(rows, options)]
    return _table("module", ["module", "file"], cells, rows, trace, options)


def _by_file(trace: "TraceFile", options: TableOptions, shorten: Shortener) -> list[RenderableType]:
    rows = trace.by_file
    cells = [(*_numbers(r, trace), _place(r.file, None, shorten)) for r in _top(rows, options)]
    return _table("file", ["file"], cells, rows, trace, options)


def _by_thread(trace: "TraceFile", options: TableOptions, _shorten: Shortener) -> list[RenderableType]:
    rows = trace.by_thread
    table = _share_table(trace.quantity, ["faults", "pid", "tid"], ["name"], options)
    for r in _top(rows, options):
        part, bar = share(r.bytes, trace.whole), _bar(r.bytes, trace.whole, options)
        table.add_row(size(r.bytes), part, *bar, f"{r.faults:,}", str(r.pid), str(r.tid), Text(label(r.name)))
    shown = len(table.rows)
    return [*_title(trace, "thread", shown, len(rows)), table, *_rest([r.bytes for r in rows[shown:]], trace)]


def _by_process(trace: "TraceFile", options: TableOptions, _shorten: Shortener) -> list[RenderableType]:
    rows = sorted((r for r in trace.processes if trace.pid in (None, r.pid)), key=lambda r: -_of_process(r))
    if len(rows) < 2 and len(options.kinds) > 1:
        return []  # nothing that the head does not say
    table = rows_table([trace.quantity, "share", "peak RSS", "pid", "parent", "ended", "command"], 5)
    for r in _top(rows, options):
        held = size(_of_process(r)) if r.traced else "not traced"
        part = share(_of_process(r), trace.whole) if r.traced else ""
        what = Text(header.command_text(r.command))
        end = facts.end_text(r.end.kind, r.end.value)
        table.add_row(held, part, header.peak_text(r.rss), str(r.pid), str(r.parent), end, what)
    shown = len(table.rows)
    return [*_title(trace, "process", shown, len(rows)), table, *_rest([_of_process(r) for r in rows[shown:]], trace)]


_TABLES: dict[str, Callable[["TraceFile", TableOptions, Shortener], list[RenderableType]]] = {
    "line": _by_line,
    "function": _by_function,
    "module": _by_module,
    "file": _by_file,
    "thread": _by_thread,
    "process": _by_process,
}


def _of_process(row: "ProcessRow") -> int:
    """What the process owns at the moment, or touched."""
    return row.touched if row.at is None else row.at.owned


def _top(rows: Sequence[_Row], options: TableOptions) -> Sequence[_Row]:
    return rows[: options.top] if options.top else rows


def _numbers(row: _Sums, trace: "TraceFile") -> tuple[str, str, str, str]:
    part = share(row.self_bytes, trace.whole)
    return size(row.self_bytes), part, size(row.total_bytes), f"{row.faults:,}"


def _place(file: str, line: int | None, shorten: Shortener) -> str:
    return location(label(shorten(file)), line)


def _table(
    kind: str,
    names: list[str],
    cells: Sequence[tuple[str, ...]],
    rows: Sequence[_Sums],
    trace: "TraceFile",
    options: TableOptions,
) -> list[RenderableType]:
    table = _share_table("self", ["total", "faults"], names, options)
    for row, sums in zip(cells, rows, strict=False):
        # Text, not str: rich must not read "[bold]" in a name as markup.
        first, part, *others = (Text(cell) for cell in row)
        table.add_row(first, part, *_bar(sums.self_bytes, trace.whole, options), *others)
    rest = _rest([r.self_bytes for r in rows[len(cells) :]], trace)
    return [*_title(trace, kind, len(cells), len(rows)), table, *rest]


def _share_table(first: str, numbers: list[str], names: list[str], options: TableOptions) -> Table:
    """An empty table with a column for shares, and one for their bars."""
    bars = [""] if options.bars else []
    table = rows_table([first, "share", *bars, *numbers, *names], 2 + len(bars) + len(numbers))
    if bars:
        table.columns[2].justify = "left"
    return table


def _bar(part: int, whole: int, options: TableOptions) -> list[Text]:
    """The cell behind a share."""
    return [options.bars.text(part, whole)] if options.bars else []


def _title(trace: "TraceFile", kind: str, shown: int, rows: int) -> list[RenderableType]:
    extent = f"{rows:,}" if shown == rows else f"the top {shown:,} of {rows:,}"
    return [Text(""), Text(f"{trace.quantity.capitalize()} by {kind} ({extent})", style="bold underline"), Text("")]


def _rest(left: list[int], trace: "TraceFile") -> list[RenderableType]:
    if not left:
        return []
    rest = sum(left)
    text = f"{count(len(left), 'more row')}: {size(rest)}, {share(rest, trace.whole)} (-n 0 shows all)"
    return [Text(text, style="dim")]
