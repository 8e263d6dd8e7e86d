"""Arrow's IPC file format ("Feather V2"), its buffers compressed with LZ4. Needs pyarrow."""

from typing import TYPE_CHECKING

from pymemtrace.export import arrow_tables

if TYPE_CHECKING:
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output


def write(request: "Request", out: "Output") -> None:
    """Write one table, a batch at a time."""
    from pyarrow import ipc

    batches = arrow_tables.requested(request)
    options = ipc.IpcWriteOptions(compression="lz4")
    with ipc.new_file(out, batches.schema, options=options) as file:
        for batch in batches:
            file.write_batch(batch)
