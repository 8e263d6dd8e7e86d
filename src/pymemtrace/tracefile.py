"""A trace read back as objects: `TraceFile("program.pmt").by_line[0]`, also as `Trace("program.pmt")`."""

import os
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from pymemtrace.report import eventrows, facts, held, load, modules, rows
from pymemtrace.report.model import (
    At,
    CallNode,
    CallRow,
    End,
    EndKind,
    Engine,
    FileRow,
    FunctionRow,
    LineRow,
    LogRow,
    ModuleRow,
    ProcessRow,
    Rss,
    SourceLine,
    ThreadRow,
    Touched,
    TreeNode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow

    from pymemtrace._analysis import Log, Result, Sample
    from pymemtrace.report.logtext import Choice

__all__ = [
    "At",
    "CallNode",
    "CallRow",
    "End",
    "EndKind",
    "Engine",
    "FileRow",
    "FunctionRow",
    "LineRow",
    "LogRow",
    "ModuleRow",
    "ProcessRow",
    "Rss",
    "SourceLine",
    "ThreadRow",
    "Touched",
    "TraceFile",
    "TreeNode",
]

_Row = TypeVar("_Row", LineRow, FunctionRow, ModuleRow, FileRow)


class TraceFile:
    """One trace file: facts about the run and rows by line, function, module, file and thread.

    Sizes are bytes. The file is analysed when the object is made; the rows are built when first asked for. The rows
    sum all processes, or show one process if `pid` is given; `end` and `engine` are the root process's.
    The rows are about what was touched, or, with `at`, about what was resident then: "peak" (RSS was highest), "end",
    seconds, or the name of a snapshot; `at` and `processes[].at` close the books then.

    Raises TraceFileError if the file is missing, unreadable, foreign, newer or corrupt (a file that was cut off is
    readable: `end.kind` is then "truncated" unless the program's end was recorded), UsageError if it has no such pid.
    """

    def __init__(self, path: str | os.PathLike[str], pid: int | None = None, at: str | float | None = None) -> None:
        self._path = os.fspath(path)
        self._pid = pid
        self._moment = held.moment(at)
        self._result = load.analyze(self._path, pid, self._moment)
        held.require(self._result, self._moment, self._path)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_result": {**self._result, "read": None}}

    def __repr__(self) -> str:
        return f"TraceFile({self._path!r})" if self._pid is None else f"TraceFile({self._path!r}, pid={self._pid})"

    @property
    def path(self) -> str:
        """The file's name, as given."""
        return self._path

    @property
    def pid(self) -> int | None:
        """The process the rows are about; None: all."""
        return self._pid

    @property
    def result(self) -> "Result":
        """The C analysis as it is: see _analysis.pyi. Not to be changed."""
        return self._result

    @property
    def meta(self) -> dict[str, str]:
        """What the trace says about the run: docs/format.md section 8."""
        return self._result["meta"]

    @property
    def command(self) -> list[str]:
        """The traced program and its arguments."""
        return facts.command(self._result)

    @property
    def python(self) -> str:
        """The version of the traced Python, "" if not recorded."""
        return self.meta.get("python", "")

    @property
    def kernel(self) -> str:
        """The kernel the program ran on, "" if not recorded."""
        return self.meta.get("kernel", "")

    @property
    def started(self) -> datetime:
        """Wall clock at the start of the trace, UTC."""
        seconds, rest = divmod(self._result["wall_ns"], 1_000_000_000)
        try:
            return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
        except (ValueError, OverflowError, OSError):  # a clock beyond the year 9999
            return datetime.fromtimestamp(0, UTC)

    @property
    def duration_s(self) -> float:
        """Seconds from the start of the trace to its last record."""
        return self._result["duration_ns"] / 1e9

    @property
    def complete(self) -> bool:
        """Whether the file has its proper end."""
        return self._result["complete"]

    @cached_property
    def engine(self) -> Engine:
        """What trapped the faults of the root process; the period is the widest of any process."""
        return Engine(*facts.engine_of(self._result))

    @cached_property
    def end(self) -> End:
        """How the root process ended."""
        return rows.end(self._result, facts.root(self._result))

    @cached_property
    def rss(self) -> Rss:
        """Resident set size of the root process, or of the one of `pid`."""
        return rows.rss(facts.images(self._result, facts.root(self._result, self._pid)))

    @cached_property
    def touched(self) -> Touched:
        """Memory handed out."""
        r = self._result
        left_out = r["left_out"][2] if r["left_out"] and self._pid is None else 0
        return Touched(r["touched_total"], r["touched_kernel"], r["touched_tracer"], r["touched_by_time"], left_out)

    @property
    def quantity(self) -> str:
        """What the rows are about: "touched" or "resident"."""
        return "touched" if self._moment is None else "resident"

    @cached_property
    def at(self) -> At | None:
        """What the root process (or the one of `pid`) held at the moment; None: the rows are about what was touched."""
        return self._books(self._number)

    @property
    def _number(self) -> int:
        return self._result["at_process"]

    def _books(self, number: int) -> At | None:
        if self._moment is None or not self._result["processes"]:
            return None
        return held.books(self._result, number, self._moment)

    @cached_property
    def whole(self) -> int:
        """Bytes that shares are parts of: all that was touched, or all RSS at the moment."""
        if self._moment is None:
            return self.touched.total
        found = [p.at for p in self.processes if p.at and (self._pid is None or p.pid == self._pid)]
        return sum(at.rss if at.rss is not None else at.owned for at in found)

    @property
    def at_name(self) -> str | None:
        """The name of the snapshot that the rows are about; None: they are not about one."""
        return str(self._moment[-1]) if self._moment and self._moment[0] == "name" else None

    @property
    def not_known(self) -> str | None:
        """What cannot be known of the moment, in one line; None: nothing that should be."""
        if self._moment is None or not self._result["processes"]:
            return None
        return held.not_known(self._result, self._number)

    @property
    def allocators(self) -> dict[str, int]:
        """What the process's allocators said of themselves when the snapshot was taken that the rows are about, else at
        the end: docs/format.md section 8. Bytes; {}: not asked."""
        rows_of = [row for row in self._result["allocators"] if row[0] == self._number]
        then = self._result["at_ns"] if self.at_name is not None else None
        times = [time for _process, time, _name, _value in rows_of if then is None or time <= then]
        return {name: value for _process, time, name, value in rows_of if times and time == max(times)}

    @property
    def lost(self) -> int:
        """Faults that were signalled but not recorded."""
        return self._result["lost"]

    @cached_property
    def processes(self) -> list[ProcessRow]:
        """The processes of the tree, the root first, those that could not be traced among them."""
        return [
            rows.process_row(self._result, process, self._books(number))
            for number, process in enumerate(self._result["processes"])
        ]

    def _with_bytes(self, found: list[_Row]) -> list[_Row]:
        """Of what was resident, the rows that have something: what a line only touched earlier is no news."""
        return found if self._moment is None else [row for row in found if row.self_bytes or row.total_bytes]

    @cached_property
    def by_line(self) -> list[LineRow]:
        """Rows by line and, for native code without a Python frame, by symbol; sorted by self."""
        return self._with_bytes(rows.line_rows(self._result, self._native))

    @cached_property
    def by_function(self) -> list[FunctionRow]:
        """Rows by function, native code by symbol; sorted by self."""
        return self._with_bytes(rows.function_rows(self._result, self._native))

    @cached_property
    def by_module(self) -> list[ModuleRow]:
        """Rows by module and its file; sorted by self."""
        return self._with_bytes(rows.module_rows(self._result, modules.names_of(self._result)))

    @cached_property
    def by_file(self) -> list[FileRow]:
        """Rows by file; sorted by self."""
        return self._with_bytes(rows.file_rows(self._result))

    @cached_property
    def by_thread(self) -> list[ThreadRow]:
        """Rows by thread; sorted by bytes."""
        return rows.thread_rows(self._result, self._pid)

    @cached_property
    def tree(self) -> list[TreeNode]:
        """The call tree as a flat list, parents before children."""
        return rows.tree_nodes(self._result)

    @property
    def has_events(self) -> bool:
        """Whether calls, returns or lines were recorded. Where not, what follows is empty."""
        return self._result["has_events"]

    @cached_property
    def calls(self) -> list[CallRow]:
        """The event log by function, the largest growth of its own first. Reads the file again."""
        return eventrows.call_rows(load.calls(self._path, self._pid))

    @cached_property
    def call_tree(self) -> list[CallNode]:
        """The exact call tree as a flat list, parents before children. Reads the file again."""
        return self._call_tree[0]

    @property
    def call_tree_left_out(self) -> int:
        """Calls that are not in `call_tree`, because it would have too many nodes: they count for their callers."""
        return self._call_tree[1]

    @cached_property
    def _call_tree(self) -> tuple[list[CallNode], int]:
        found = load.call_tree(self._path, self._pid)
        return eventrows.call_nodes(found), found["left_out"]

    def lines(self, file: str | None = None) -> list[SourceLine]:
        """The event log by line, in order; `file`: of this file alone, by its whole name or its end. Without lines in
        the log only what was touched is known."""
        return [line for line in self._lines if file is None or eventrows.is_file(line.file, file)]

    @cached_property
    def _lines(self) -> list[SourceLine]:
        return eventrows.source_lines(load.line_rows(self._path, self._pid), self.by_line)

    def log(
        self,
        *,
        min_change: int = 0,
        thread: str | int | None = None,
        function: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> "Iterator[LogRow]":
        """The rows of the event log in the order of time, as they are read: the log may be longer than memory.

        min_change: rows that changed RSS by so many bytes, and the row of the process before each. thread: a tid or a
        name. function: part of the qualified name, or a pattern with *, ? or []. since, until: seconds.
        """
        from pymemtrace.report.logtext import Choice

        name = None if thread is None else str(thread)
        return eventrows.log_rows(self.open_log(Choice(self._pid, min_change, name, function, since, until)))

    def open_log(self, choice: "Choice") -> "Log":
        """The C part's log, with the rows chosen."""
        from pymemtrace.report import logtext

        log = load.open_log(self._path)
        logtext.choose(log, choice)
        return log

    def to_arrow(self, table: str | None = None) -> "pyarrow.Table":
        """A table in memory: "events" (the rows of `log`), "faults", "owners" (`by_line`), "timeline" or "lines".

        None: events where calls were recorded, else owners. Columns are those of `pymemtrace export --format arrow`.
        Raises UsageError without pyarrow (the extra `arrow`), ValueError if there is no such table.
        """
        return self.to_arrow_batches(table).read_all()

    def to_arrow_batches(self, table: str | None = None) -> "pyarrow.RecordBatchReader":
        """The same batch by batch, as it is read: the log may be longer than memory."""
        from pymemtrace.export import arrow_tables, tables

        return arrow_tables.reader(self, tables.name_of(self, table))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface: what takes Arrow data takes the TraceFile, as the table that is the default of
        `to_arrow`, batch by batch."""
        return self.to_arrow_batches().__arrow_c_stream__(requested_schema)

    def samples(self) -> "list[Sample]":
        """The recorder's samples of RSS by kind, bytes, in file order. Reads the file again."""
        return load.samples(self._path)

    @cached_property
    def _native(self) -> list[rows.Native]:
        if not self._result["native"]:
            return []
        # Reading ELF files is worth its import only where there is native code to name.
        from pymemtrace.report.symbols import Symbols

        return rows.native_rows(self._result, Symbols())
