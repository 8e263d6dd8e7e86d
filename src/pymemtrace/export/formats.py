"""All formats in one place: name, what it is for, what it takes."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from pymemtrace.export.output import Output
    from pymemtrace.tracefile import TraceFile

# What a format may be told beside the trace and the process.
MOMENT, TABLE, PATHS = "--at and --touched", "--table", "--full-paths"
TABLES = ("events", "faults", "owners", "timeline", "lines")


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
    """One format. `opens` says in a few words what reads it, `then` what to type next: {} is the file."""

    name: str
    what: str
    opens: str
    then: str = ""
    takes: tuple[str, ...] = ()
    binary: bool = False  # not for a terminal

    @property
    def writer(self) -> Writer:
        """Its module."""
        return cast(Writer, import_module(f"pymemtrace.export.{self.name}"))


_TABLE = (TABLE, MOMENT)
_ALL = (
    Format(
        "collapsed",
        "one line a stack, with bytes",
        opens="flamegraph.pl and its relatives, speedscope",
        then="flamegraph.pl --countname bytes {} > flame.svg",
        takes=(MOMENT, PATHS),
    ),
    Format(
        "speedscope",
        "JSON; memory, and time of traces with calls",
        opens="https://www.speedscope.app",
        then="npx speedscope {}, or drop it on https://www.speedscope.app",
        takes=(MOMENT,),
    ),
    Format(
        "pprof",
        "gzip'd profile with labels of process and thread",
        opens="go tool pprof",
        then="go tool pprof -http : {}",
        takes=(MOMENT,),
        binary=True,
    ),
    Format(
        "perfetto",
        "calls as slices, RSS as counters",
        opens="https://ui.perfetto.dev",
        then="open it at https://ui.perfetto.dev",
        binary=True,
    ),
    Format("csv", "a table", opens="spreadsheets, pandas", takes=_TABLE),
    Format("json", "as `report --json`, or a table as one array", opens="jq, any program", takes=_TABLE),
    Format("jsonl", "a table, one object a line", opens="jq, pandas, DuckDB", takes=_TABLE),
    Format("arrow", "a table (IPC file, Feather)", opens="pandas, polars", takes=_TABLE, binary=True),
    Format("parquet", "a table", opens="DuckDB, pandas, polars", takes=_TABLE, binary=True),
)
FORMATS = {form.name: form for form in _ALL}
