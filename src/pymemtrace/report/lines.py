"""The annotated source of `pymemtrace lines`."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.errors import UsageError
from pymemtrace.report import eventlog, eventrows, header, source
from pymemtrace.report.calls import signed
from pymemtrace.report.console import Bars
from pymemtrace.report.model import SourceLine
from pymemtrace.report.text import clean, label
from pymemtrace.report.units import count, duration, size

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

# Lines shown around those that have numbers.
_AROUND = 2
_LINE_LIMIT = 160
_HEAD = f"{'hits':>12}  {'time':>10}  {'touched':>10}  {'change':>11}  {'largest':>10}  "
_LINE_HEAD = f"{'line':>6}"


def choose(trace: "TraceFile", wanted: list[str], top: int) -> dict[str, list[SourceLine]]:
    """The lines by file: of the files wanted, or of the `top` (0: all) whose lines grew and touched most."""
    files: dict[str, list[SourceLine]] = {}
    for line in trace.lines():
        files.setdefault(line.file, []).append(line)
    if wanted:
        for name in wanted:
            if not any(eventrows.is_file(file, name) for file in files):
                raise UsageError(
                    f"{trace.path}: nothing was recorded in a file {name!r}; `pymemtrace report --by file` lists those"
                )
        return {file: rows for file, rows in files.items() if any(eventrows.is_file(file, name) for name in wanted)}
    order = sorted(files, key=lambda file: (-_weight(files[file]), file))
    return {file: files[file] for file in (order[:top] if top else order)}


def _weight(rows: list[SourceLine]) -> int:
    """The largest of a file's lines: they contain each other, so a sum would say nothing."""
    return max(_moved(row) for row in rows)


def _moved(row: SourceLine) -> int:
    return max(abs(row.change), row.largest, row.touched_self)


def report(
    trace: "TraceFile", chosen: dict[str, list[SourceLine]], *, whole: bool, full_paths: bool, bars: Bars | None
) -> list[RenderableType]:
    """Everything that `pymemtrace lines` prints, in order."""
    parts: list[RenderableType] = [*(eventlog.head(trace) if trace.has_events else header.head(trace))]
    parts += header.process_lines(trace)
    if not any(line.hits for line in trace.lines()):
        parts.append(Text("Lines were not recorded (`pymemtrace run --lines`): only what was touched is known."))
    shorten = header.shortener(trace, full_paths)
    room = " " * (bars.width + 2) if bars else ""
    with_numbers = {line.file for line in trace.lines() if _has_numbers(line)}
    for file, rows in chosen.items():
        if file not in with_numbers and not whole:
            continue
        found = source.read(os.path.join(trace.meta.get("cwd", ""), file), trace.started.timestamp())
        parts += [Text(""), Text(label(shorten(file)), style="bold underline")]
        if found is None:
            parts.append(Text("The source is not there to be read: only line numbers are shown.", style="yellow"))
        elif found.changed:
            parts.append(Text("The source has changed since it ran: lines may stand elsewhere now.", style="yellow"))
        text = found.lines if found else None
        parts += [Text(_HEAD + room + _LINE_HEAD, style="bold"), *_annotated(rows, text, whole, bars)]
    rest = len(with_numbers - set(chosen))
    if rest and not whole:
        parts += [Text(""), Text(f"{count(rest, 'more file')} (-n 0 shows all)", style="dim")]
    return parts


def _annotated(rows: list[SourceLine], source: list[str] | None, whole: bool, bars: Bars | None) -> Iterator[Text]:
    by_line = {row.line: row for row in rows if _has_numbers(row)}
    most = _weight(rows)
    last = 0
    for number in _shown(by_line, None if source is None else len(source), whole):
        if source is not None and last and number != last + 1:
            yield Text("...", style="dim")
        last = number
        text = source[number - 1] if source is not None and number <= len(source) else ""
        row = by_line.get(number)
        bar = bars.text(_moved(row) if row else 0, most).append("  ") if bars else ""
        yield Text.assemble(f"{_numbers(row)}  ", bar, f"{number:>6}  {clean(text.expandtabs())[:_LINE_LIMIT]}")


def _shown(by_line: Iterable[int], length: int | None, whole: bool) -> list[int]:
    """The numbers of the lines to show, ascending."""
    if length is None:
        return sorted(by_line)
    if whole:
        return sorted({*range(1, length + 1), *by_line})
    near = {at for line in by_line for at in range(line - _AROUND, line + _AROUND + 1) if 1 <= at <= length}
    return sorted(near | set(by_line))


def _has_numbers(row: SourceLine) -> bool:
    """Whether a column would show something: what a line that only calls touched is with the lines it called."""
    return bool(row.hits or row.time_ns or row.touched_self or row.change or row.largest)


def _numbers(row: SourceLine | None) -> str:
    if row is None:
        return " " * 61
    cells = (
        f"{row.hits:>12,}" if row.hits else f"{'':>12}",
        f"{duration(row.time_ns) if row.hits else '':>10}",
        f"{size(row.touched_self) if row.touched_self else '':>10}",
        f"{signed(row.change) if row.change else '':>11}",
        f"{size(row.largest) if row.largest else '':>10}",
    )
    return "  ".join(cells)


def json_object(trace: "TraceFile", chosen: dict[str, list[SourceLine]]) -> dict[str, Any]:
    """The object of `pymemtrace lines --json`."""
    return {
        **eventlog.json_head(trace),
        "lines": [{**row._asdict(), "change": row.change} for rows in chosen.values() for row in rows],
    }
