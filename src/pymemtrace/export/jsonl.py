"""JSON lines: a table, one object a line."""

from typing import TYPE_CHECKING

from pymemtrace.export import json_rows

if TYPE_CHECKING:
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output


def write(request: "Request", out: "Output") -> None:
    """Write one table."""
    for piece in json_rows.lines(request):
        out.write(piece)
