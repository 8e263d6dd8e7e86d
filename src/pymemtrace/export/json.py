"""JSON: the object of `pymemtrace report --json`, or a table as one array of objects."""

from io import TextIOWrapper
from typing import TYPE_CHECKING, BinaryIO, cast

from pymemtrace.export import json_rows
from pymemtrace.report import json_report
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output


def write(request: "Request", out: "Output") -> None:
    """Write the report, or the table asked for."""
    if request.table is not None:
        _write_array(request, out)
        return
    trace = request.trace if request.at is None else TraceFile(request.trace.path, request.trace.pid, request.at)
    text = TextIOWrapper(cast(BinaryIO, out), encoding="ascii", newline="")
    json_report.write(text, json_report.report_object(trace))
    text.detach()


def _write_array(request: "Request", out: "Output") -> None:
    separator = b"[\n"
    for piece in json_rows.lines(request):
        if piece:
            out.write(separator + piece[:-1].replace(b"\n", b",\n"))  # no line break is inside of an object
            separator = b",\n"
    out.write(b"\n]\n" if separator == b",\n" else b"[]\n")
