"""The table of `pymemtrace calls`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.report import eventlog, header
from pymemtrace.report.model import CallRow
from pymemtrace.report.text import label, location
from pymemtrace.report.units import count, duration, size

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

# Of these the table shows what the function did itself, or with its callees, as here, unless sorted by the other.
_ONE_EACH = ("self-growth", "self-release", "touched")
_FIELDS = {
    "calls": "calls",
    "time": "time_ns",
    "self-time": "time_self_ns",
    "change": "change",
    "self-change": "change_self",
    "growth": "growth",
    "self-growth": "growth_self",
    "release": "release",
    "self-release": "release_self",
    "largest": "largest",
    "touched": "touched",
    "self-touched": "touched_self",
}


@dataclass(frozen=True, slots=True)
class CallsOptions:
    """sort: a column of the command line; top: rows shown, 0: all."""

    sort: str = "self-growth"
    top: int = 25
    full_paths: bool = False


def in_order(rows: Sequence[CallRow], sort: str) -> list[CallRow]:
    """By a column, the largest first; by name in alphabetical order."""
    if sort == "function":
        return sorted(rows, key=lambda r: (r.function, r.file, r.first_line or 0))
    field = _FIELDS[sort]
    return sorted(rows, key=lambda r: -getattr(r, field))


def report(trace: "TraceFile", options: CallsOptions) -> list[RenderableType]:
    """Everything that `pymemtrace calls` prints, in order."""
    rows = in_order(trace.calls, options.sort)
    shown = rows[: options.top] if options.top else rows
    shorten = header.shortener(trace, options.full_paths)
    columns = _columns(options.sort)
    lines = [_line(row, columns, label(shorten(row.file))) for row in shown]
    extent = f"{len(rows):,}" if len(shown) == len(rows) else f"the top {len(shown):,} of {len(rows):,}"
    title = Text(f"Functions ({extent}) by {options.sort}", style="bold underline")
    parts: list[RenderableType] = [
        *eventlog.head(trace),
        *header.process_lines(trace),
        Text(""),
        title,
        Text(""),
        Text(_heading(columns), style="bold"),
        *lines,
    ]
    left_out = trace.result["left_out"]
    if left_out and left_out[4]:
        later = count(left_out[4], "event")
        text = f"{later} after the details' end are in these sums, but not in `log`, `lines` and `tree`"
        parts.append(Text(text, style="yellow"))
    if len(shown) < len(rows):
        parts.append(Text(f"{count(len(rows) - len(shown), 'more row')} (-n 0 shows all)", style="dim"))
    return parts


def _columns(sort: str) -> tuple[str, ...]:
    """Which of growth, release and touched are shown: one each, that which the rows are sorted by."""
    return tuple(sort if sort.endswith(kind.removeprefix("self-")) else kind for kind in _ONE_EACH)


def _heading(columns: tuple[str, ...]) -> str:
    growth, release, touched = columns
    return (
        f"{'calls':>12}  {'time':>9}  {'self-time':>9}  {'change':>10}  {'self-change':>11}  "
        f"{growth:>12}  {release:>12}  {'largest':>10}  {touched:>12}  function  file:line"
    )


def _line(row: CallRow, columns: tuple[str, ...], file: str) -> Text:
    """One line, never folded: names are long, and stand last."""
    growth, release, touched = (size(getattr(row, _FIELDS[column])) for column in columns)
    numbers = (
        f"{row.calls:>12,}  {duration(row.time_ns):>9}  {duration(row.time_self_ns):>9}  {signed(row.change):>10}  "
        f"{signed(row.change_self):>11}  {growth:>12}  {release:>12}  {size(row.largest):>10}  {touched:>12}  "
    )
    return Text.assemble(numbers, (label(row.function), "bold"), "  ", (location(file, row.first_line), "cyan"))


def signed(change: int) -> str:
    """A change of RSS: "+4.0 KiB", "-1.5 MiB", "0 B"."""
    return f"+{size(change)}" if change > 0 else size(change)


def json_object(trace: "TraceFile", rows: Sequence[CallRow]) -> dict[str, Any]:
    """The object of `pymemtrace calls --json`."""
    return {
        **eventlog.json_head(trace),
        "functions": [{**row._asdict(), "change_self": row.change_self, "change": row.change} for row in rows],
    }
