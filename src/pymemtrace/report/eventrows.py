"""The C part's results on events as typed rows."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pymemtrace.report.facts import UNKNOWN
from pymemtrace.report.model import CallNode, CallRow, LineRow, LogRow, SourceLine

if TYPE_CHECKING:
    from pymemtrace._analysis import Calls, CallTree, LineRows, Log

_BATCH = 4096


def call_rows(found: "Calls") -> list[CallRow]:
    """Functions, the largest growth of their own first, then the longest time of their own."""
    rows = [
        CallRow(file or UNKNOWN, line or None, name or UNKNOWN, *numbers)
        for file, line, name, *numbers in found["functions"]
    ]
    rows.sort(key=lambda r: (-r.growth_self, -r.time_self_ns, r.file, r.first_line or 0, r.function))
    return rows


def call_nodes(found: "CallTree") -> list[CallNode]:
    """The call tree; the root is called "(all)"."""
    return [
        CallNode(
            number,
            None if parent < 0 else parent,
            file if parent < 0 else file or UNKNOWN,
            line or None,
            "(all)" if parent < 0 else name or UNKNOWN,
            *numbers,
        )
        for number, (parent, file, line, name, *numbers) in enumerate(found["nodes"])
    ]


def source_lines(found: "LineRows", touched: Iterable[LineRow]) -> list[SourceLine]:
    """Lines by file and number: what the log says of them, and what was touched at them."""
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for row in touched:
        if row.line is not None:
            own, total = sums.get((row.file, row.line), (0, 0))
            # Functions that share a line (a comprehension and the line around it) call each other.
            sums[row.file, row.line] = own + row.self_bytes, max(total, row.total_bytes)
    lines = [SourceLine(*row, *sums.pop((row[0], row[1]), (0, 0))) for row in found["lines"]]
    lines += [SourceLine(file, line, 0, 0, 0, 0, 0, *sizes) for (file, line), sizes in sums.items()]
    return sorted(lines)


def is_file(path: str, wanted: str) -> bool:
    """Whether `wanted` is the path or its end, by whole names."""
    return path == wanted or path.endswith("/" + wanted.removeprefix("./"))


def log_rows(log: "Log") -> Iterator[LogRow]:
    """All rows that were chosen."""
    while (batch := log.rows(_BATCH)) is not None:
        for row in batch:
            yield LogRow(row[0] / 1e9, *row[1:])
