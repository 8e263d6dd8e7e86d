"""Tables as Arrow data, batch by batch. Needs pyarrow, which is imported here and nowhere else."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pymemtrace.errors import UsageError
from pymemtrace.export import tables
from pymemtrace.results import KINDS

if TYPE_CHECKING:
    from pymemtrace._analysis import Log
    from pymemtrace.export.formats import Request
    from pymemtrace.tracefile import TraceFile

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError as error:
    raise UsageError("this needs pyarrow: pip install 'pymemtrace[arrow]'") from error

BATCH_ROWS = 1 << 16
_FAULT, _LOST = KINDS.index("fault"), KINDS.index("lost")
_TYPES = {tables.INT: pa.int64(), tables.FLOAT: pa.float64(), tables.TEXT: pa.string()}
_NAME = pa.dictionary(pa.int32(), pa.string())

# The table of events: a row is a moment. Sizes are bytes, t is seconds since the start of the trace.
EVENTS = pa.schema(
    [
        pa.field("t", pa.float64(), nullable=False),
        pa.field("pid", pa.int32(), nullable=False),
        pa.field("tid", pa.int32(), nullable=False),
        pa.field("depth", pa.int32(), nullable=False),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("function", _NAME),
        pa.field("file", _NAME),
        pa.field("line", pa.int32()),
        pa.field("rss", pa.int64(), nullable=False),
        pa.field("change", pa.int64(), nullable=False),
        pa.field("touched", pa.int64()),  # of a fault
        pa.field("text", pa.string()),  # of a mark; the exception's name where one leaves a function
        pa.field("lost", pa.int64()),  # how many events are missing here
    ]
)


def reader(trace: "TraceFile", name: str) -> "pa.RecordBatchReader":
    """The table's batches, as they are read."""
    if name in tables.OF_LOG:
        return pa.RecordBatchReader.from_batches(EVENTS, _events(tables.log(trace, name)))
    return _small(tables.read(trace, name))


def requested(request: "Request") -> "pa.RecordBatchReader":
    """The table that is to be exported."""
    name = tables.name_of(request.trace, request.table)
    if name in tables.OF_LOG:
        return reader(request.trace, name)
    return _small(tables.requested(request, name))


def _small(table: tables.Table) -> "pa.RecordBatchReader":
    """A table that fits memory, as one batch."""
    schema = pa.schema([pa.field(column.name, _TYPES[column.kind]) for column in table.columns])
    columns: list[list[tables.Cell]] = [[] for _ in table.columns]
    for row in table.rows:
        for cells, cell in zip(columns, row, strict=True):
            cells.append(tables.encodable(cell) if isinstance(cell, str) else cell)
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    return pa.RecordBatchReader.from_batches(schema, [pa.record_batch(arrays, schema=schema)])


class _Texts:
    """Some of a log's texts as a dictionary, and where each text of the log stands in it."""

    def __init__(self, texts: "pa.Array", numbers: Iterable[int]) -> None:
        wanted = list(dict.fromkeys(numbers))
        places: list[int | None] = [None] * len(texts)
        for place, number in enumerate(wanted):
            places[number] = place
        self._places = pa.array(places, pa.int32())
        self._dictionary = texts.take(pa.array(wanted, pa.int32()))

    def column(self, numbers: "pa.Array") -> "pa.Array":
        """The texts of these numbers; null: none."""
        return pa.DictionaryArray.from_arrays(self._places.take(numbers), self._dictionary, safe=False)


def _events(log: "Log") -> "Iterator[pa.RecordBatch]":
    texts = pa.array([tables.encodable(text) for text in log.texts], pa.string())
    functions, files = (_Texts(texts, (code[part] for code in log.codes)) for part in (0, 1))
    kinds = pa.array(KINDS, pa.string())
    while (found := log.columns(BATCH_ROWS)) is not None:
        if found["kind"]:
            yield _batch(found, texts, functions, files, kinds)


def _batch(
    found: dict[str, bytes], texts: "pa.Array", functions: _Texts, files: _Texts, kinds: "pa.Array"
) -> "pa.RecordBatch":
    rows = len(found["kind"])

    def column(name: str, kind: "pa.DataType" = _TYPES[tables.INT]) -> Any:
        return pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(found[name])])

    def small(name: str) -> Any:
        return column(name).cast(pa.int32(), safe=False)

    def text(name: str) -> Any:
        numbers = small(name)
        return pc.if_else(pc.less(numbers, 0), None, numbers)

    kind, line, count = column("kind", pa.int8()), small("line"), column("count")
    arrays = [
        column("t", pa.float64()),
        *(small(name) for name in ("pid", "tid", "depth")),
        pa.DictionaryArray.from_arrays(kind, kinds, safe=False),
        functions.column(text("function")),
        files.column(text("file")),
        pc.if_else(pc.equal(line, 0), None, line),
        column("rss"),
        column("change"),
        pc.if_else(pc.equal(kind, _FAULT), count, None),
        texts.take(text("text")),
        pc.if_else(pc.equal(kind, _LOST), count, None),
    ]
    return pa.record_batch(arrays, schema=EVENTS)
