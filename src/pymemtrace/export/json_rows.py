"""The rows of a table as JSON objects, for json and jsonl. The events' are those of `pymemtrace log --json`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymemtrace.export import tables
from pymemtrace.report import logtext

if TYPE_CHECKING:
    from pymemtrace._analysis import Log
    from pymemtrace.export.formats import Request

_CHUNK = 1 << 18


def lines(request: "Request") -> Iterator[bytes]:
    """Whole lines, one object each, in pieces that hold many."""
    name = tables.name_of(request.trace, request.table)
    if name in tables.OF_LOG:
        yield from _rows(tables.log(request.trace, name))
        return
    table = tables.requested(request, name)
    keys = [column.name for column in table.columns]
    for row in table.rows:
        cells = (tables.encodable(cell) if isinstance(cell, str) else cell for cell in row)
        yield json.dumps(dict(zip(keys, cells, strict=True))).encode() + b"\n"


def _rows(log: "Log") -> Iterator[bytes]:
    # Not as `log --json` has lone surrogates: strict readers refuse them.
    words = [json.dumps(tables.encodable(text)).encode() for text in log.texts]
    log.spell(words, words)
    while (chunk := log.format(logtext.JSON, _CHUNK)) is not None:
        yield chunk
