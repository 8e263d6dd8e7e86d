"""Comma-separated values with a line of names, UTF-8. The table of events is that of `pymemtrace log --csv`."""

import csv
from io import StringIO
from typing import TYPE_CHECKING, BinaryIO, cast

from pymemtrace.export import tables
from pymemtrace.report import logtext

if TYPE_CHECKING:
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output


def write(request: "Request", out: "Output") -> None:
    """Write one table."""
    name = tables.name_of(request.trace, request.table)
    if name in tables.OF_LOG:
        out.write(logtext.CSV_HEADER)
        logtext.write(tables.log(request.trace, name), logtext.CSV, str, cast(BinaryIO, out))
        return
    table = tables.requested(request, name)
    _write_row(out, [column.name for column in table.columns])
    for row in table.rows:
        _write_row(out, row)


def _write_row(out: "Output", row: "list[str] | tuple[tables.Cell, ...]") -> None:
    line = StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    out.write(line.getvalue().encode("utf-8", "backslashreplace"))
