"""What a report is made of: typed rows and facts. Sizes are bytes, times ns since the start of the trace."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

EndKind = Literal["exit", "signal", "running", "truncated"]


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended. value: the exit status or the signal's number; None: running, truncated or not known."""

    kind: EndKind
    value: int | None


@dataclass(frozen=True, slots=True)
class Engine:
    """What gave memory to lines: faults, timer or none. reason: why not a better one (None: it is the best)."""

    name: str
    reason: str | None
    period: int  # the widest used: one fault in `period`; 0: not the fault engine
    period_changes: int


@dataclass(frozen=True, slots=True)
class Rss:
    """Resident set size in bytes; None: not recorded."""

    start: int | None
    peak: int | None
    end: int | None
    peak_at_least: bool = False  # not traced, and ended too soon to be looked at to its end: the peak may be higher


@dataclass(frozen=True, slots=True)
class Touched:
    """Memory handed out, bytes: total = the sum of self over the rows by line + kernel + tracer + left_out."""

    total: int
    kernel: int
    tracer: int
    by_time: int  # the part of the total known by time only, not by the fault itself; all of it with the timer engine
    left_out: int = 0  # counted only, without details: the file could not or must not grow; 0 with a pid


@dataclass(frozen=True, slots=True)
class At:
    """What a process held at a moment, bytes. rss = before_start + owned + file + shared + kernel + tracer +
    unexplained; owned = exact + fill + by_time."""

    kind: str  # "peak", "end", "time", "name"
    time_s: float
    rss: int | None  # the OS's number; None: not read up to then, unexplained is then 0
    before_start: int
    owned: int
    file: int  # found without a stack: of a file,
    shared: int  # of shared memory,
    kernel: int  # anonymous
    tracer: int
    unexplained: int  # closes the sum, may be negative
    error_band: int  # by which the OS's number may lag
    exact: int  # owned: the fault was at this page
    fill: int  # found beside pages of its owner
    by_time: int  # came between two faults of its owner
    note: str | None  # what cannot be known of the moment; None: nothing that should be


@dataclass(frozen=True, slots=True)
class ProcessRow:
    pid: int
    parent: int
    command: list[str]
    traced: bool  # False: only its memory was sampled
    start_ns: int
    end: End
    end_ns: int | None
    rss: Rss
    touched: int
    faults: int
    engine: Engine
    meta: dict[str, str]
    counters: dict[str, int]
    at: At | None = None  # None: not asked for


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line of Python, or native code that ran without a Python frame (line None, function "<library: symbol>")."""

    file: str  # co_filename as it is, the library's path, or "[unknown]"
    line: int | None
    function: str  # qualified name
    self_bytes: int
    total_bytes: int  # with what it called
    faults: int
    by_time: int
    fill: int
    first_line: int | None = None  # of its function


@dataclass(frozen=True, slots=True)
class FunctionRow:
    file: str
    first_line: int | None
    function: str
    self_bytes: int
    total_bytes: int
    faults: int
    by_time: int
    fill: int


@dataclass(frozen=True, slots=True)
class ModuleRow:
    module: str
    file: str
    self_bytes: int
    total_bytes: int
    faults: int
    by_time: int
    fill: int


@dataclass(frozen=True, slots=True)
class FileRow:
    """All code of a source file, or all native code of a library that ran without a Python frame."""

    file: str
    self_bytes: int
    total_bytes: int
    faults: int
    by_time: int
    fill: int


@dataclass(frozen=True, slots=True)
class ThreadRow:
    pid: int
    tid: int
    name: str
    bytes: int
    faults: int
    by_time: int
    fill: int


class CallRow(NamedTuple):
    """A function in the event log. "self": while it was the innermost; else with all that it called, counted once where
    it recurs. RSS is the process's: what other threads did meanwhile is in it."""

    file: str  # of a function that is not Python's its module's name: "<builtins>"
    first_line: int | None
    function: str
    calls: int
    time_self_ns: int
    time_ns: int
    growth_self: int  # bytes by which RSS rose
    growth: int
    release_self: int  # bytes by which it fell
    release: int
    touched_self: int  # bytes brought in by the thread's own page faults
    touched: int
    largest: int  # the highest RSS within one call, less the RSS at its beginning

    @property
    def change_self(self) -> int:
        """RSS change while it was the innermost."""
        return self.growth_self - self.release_self

    @property
    def change(self) -> int:
        """RSS change from its calls' beginnings to their ends."""
        return self.growth - self.release


class SourceLine(NamedTuple):
    """A line in the event log: from its beginning to the next line of the same frame, with all that it called."""

    file: str
    line: int
    hits: int
    time_ns: int
    growth: int
    release: int
    largest: int
    touched_self: int  # by the line itself
    touched: int  # with what it called

    @property
    def change(self) -> int:
        """RSS change while it ran."""
        return self.growth - self.release


class CallNode(NamedTuple):
    """A node of the exact call tree; its id is its place in the list, parents stand before children, 0 is the root."""

    id: int
    parent: int | None
    file: str
    first_line: int | None
    function: str
    calls: int
    time_ns: int
    growth: int
    release: int
    touched: int

    @property
    def change(self) -> int:
        """RSS change in it and in what it called."""
        return self.growth - self.release


class LogRow(NamedTuple):
    """A row of the event log. Sizes are bytes; `change` is that of the process's RSS since its row before."""

    t: float  # seconds since the start of the trace
    pid: int
    tid: int
    depth: int
    kind: str  # call, return, yield, resume, throw, unwind, c_call, c_return, c_raise, line, fault, mark, lost
    function: str | None  # qualified name
    file: str | None
    line: int | None
    rss: int
    change: int
    extra: str | int | None  # a mark's text, the number of lost events, an unwinding exception's name, a fault's bytes


class TreeNode(NamedTuple):
    """A node of the call tree; its id is its place in the list, parents stand before children.

    A NamedTuple, not a dataclass: trees have up to a million nodes. Node 0 is the root (parent None); a node without
    a Python frame has file and line None.
    """

    id: int
    parent: int | None
    file: str | None
    line: int | None
    function: str
    self_bytes: int
    total_bytes: int
    faults: int
