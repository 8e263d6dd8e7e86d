"""All formats in one place: name, what it is for, what it takes."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from pymemtrace.export.output import Output
    from pymemtrace.tracefile import TraceFile

# What a format may be told beside the trace and the process.
MOMENT, TABLE, PATHS = "--at and --touched", "--table", "--full-paths"
TABLES = ("events", "owners", "timeline", "lines")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be exported."""

    trace: "TraceFile"  # about what was touched, of all processes or one
    at: str | float | None = "peak"  # the moment, as TraceFile takes it; None: what was touched
    table: str | None = None  # of TABLES; None: the format's own choice
    full_paths: bool = False


class Writer(Protocol):
    """The module of a format."""

    def write(self, request: Request, out: "Output") -> None:
        """Write the whole export. Raises PymemtraceError."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `opens` says in a few words what reads it."""

    name: str
    binary: bool  # not for a terminal
    takes: tuple[str, ...]
    what: str
    opens: str

    @property
    def writer(self) -> Writer:
        """Its module."""
        return cast(Writer, import_module(f"pymemtrace.export.{self.name}"))


_ALL = (
    Format("collapsed", False, (MOMENT, PATHS), "one line a stack, with bytes", "flamegraph.pl, inferno, speedscope"),
    Format("speedscope", False, (MOMENT,), "JSON; memory, and time of traces with calls", "https://www.speedscope.app"),
    Format("pprof", True, (MOMENT,), "gzip'd profile with labels of process and thread", "go tool pprof, Pyroscope"),
    Format("perfetto", True, (), "calls as slices, RSS as counters", "https://ui.perfetto.dev"),
    Format("csv", False, (TABLE, MOMENT), "a table", "spreadsheets, pandas"),
    Format("json", False, (TABLE, MOMENT), "as `report --json`, or a table as one array", "jq, any program"),
    Format("jsonl", False, (TABLE, MOMENT), "a table, one object a line", "jq, pandas, DuckDB"),
    Format("arrow", True, (TABLE, MOMENT), "a table (IPC file, Feather)", "pandas, polars, R"),
    Format("parquet", True, (TABLE, MOMENT), "a table", "DuckDB, pandas, polars, Spark"),
)
FORMATS = {form.name: form for form in _ALL}
