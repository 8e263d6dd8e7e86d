"""Parquet, compressed with zstd. Needs pyarrow."""

from typing import TYPE_CHECKING

from pymemtrace.export import arrow_tables

if TYPE_CHECKING:
    import pyarrow as pa

    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output


def write(request: "Request", out: "Output") -> None:
    """Write one table, a row group a batch."""
    import pyarrow.parquet as pq

    batches = arrow_tables.requested(request)
    with pq.ParquetWriter(out, batches.schema, compression="zstd") as file:
        for batch in batches:
            file.write_batch(_compact(batch))


def _compact(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Dictionaries with the names of these rows alone: each row group holds its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    arrays = []
    for array in batch.columns:
        if pa.types.is_dictionary(array.type):
            used = pc.unique(array.indices.drop_null())
            numbers = pc.index_in(array.indices, used).cast(array.type.index_type)
            array = pa.DictionaryArray.from_arrays(numbers, array.dictionary.take(used))
        arrays.append(array)
    return pa.record_batch(arrays, schema=batch.schema)
