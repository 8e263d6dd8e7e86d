"""Reads trace files: the C reader and analysis (core/format, core/analyze) as Python sees them."""

from typing import TypedDict, overload

class Process(TypedDict):
    pid: int
    parent: int
    start_ns: int
    meta: dict[str, str]  # keys: docs/format.md section 8
    counters: dict[str, int]
    end: (
        tuple[int, int, int] | None
    )  # kind (0 exit, 1 signal, 2 unknown, 3 exec), status or signal, time in ns; None: not ended
    rss_start: int | None  # bytes, at MARK start
    rss_end: int | None  # bytes, at MARK end; without one the last sample
    rss_peak: int  # bytes, the highest seen in a sample, at a mark or at a fault
    rss_peak_ns: int  # when
    touched: int  # bytes
    faults: int  # without ticks
    period: int  # the widest used; 0: not the fault engine
    period_changes: int

# bytes: RSS (None: not read), before start, file, shared, kernel, tracer, then owned: exact, fill, by time
Held = tuple[int | None, int, int, int, int, int, int, int, int]

# ("peak",), ("end",), ("time", ns), ("name", a snapshot's); None: what was touched
At = tuple[str] | tuple[str, int] | tuple[str, str]

class Sample(TypedDict):
    process: int
    time_ns: int
    anon: int
    file: int
    shmem: int
    swap: int

class Result(TypedDict):
    version: tuple[int, int]
    page_size: int
    rss_lag: int  # bytes: so far the OS's number may be from the truth
    wall_ns: int  # wall clock at time 0, ns since the epoch
    complete: bool  # the trailer was there
    good_bytes: int  # the file is good up to here
    file_bytes: int
    duration_ns: int
    signals: int  # FAULT records read, ticks included
    has_events: bool  # calls, returns or lines were recorded
    fault_bytes: int  # stored bytes of the blocks, all in all (for bytes per fault)
    meta: dict[str, str]
    processes: list[Process]
    # how bytes were found: those labelled "by time", those found "by fill"; the rest is exact
    # process index, tid, name, bytes, faults, by time, fill
    threads: list[tuple[int, int, str, int, int, int, int]]
    # file, line (0: unknown), qualified name, first line. "" as file and name: the code object's definition was lost
    frames: list[tuple[str, int, str, int]]
    # frame index, self bytes, total bytes, faults (self), of self by time and fill; sorted by self, descending
    lines: list[tuple[int, int, int, int, int, int]]
    # (file, first line, qualified name), self, total, faults, by time, fill
    functions: list[tuple[str, int, str, int, int, int, int, int]]
    # file, self, total, faults, by time, fill
    files: list[tuple[str, int, int, int, int, int]]
    # stacks without a Python frame: module path ("" unknown), offset of the instruction (or of the caller outside the C
    # library) in the module's file, bytes, faults, by time, fill
    native: list[tuple[str, int, int, int, int, int]]
    # every fault by the interrupted native instruction: module path, offset in the module's file, bytes, faults
    sites: list[tuple[str, int, int, int]]
    # the call tree; node 0 is the root: parent node, frame index (-1: none), self, total, faults; parents first
    tree: list[tuple[int, int, int, int, int]]
    touched_total: int  # bytes: every rise + kernel + tracer + left out
    touched_kernel: int
    touched_tracer: int
    touched_by_time: int
    lost: int  # signalled faults lost
    # what the file lacks after a time, because it could not or must not grow: time in ns, faults, bytes, errno (0: a
    # limit of its size), calls, returns and lines. None: nothing. The bytes are part of touched_total where no pid was
    # asked for
    left_out: tuple[int, int, int, int, int] | None
    limit_kib: int | None  # the cgroup's limit, KiB; None: none seen
    cgroup_peak_kib: int | None
    # at a moment: lines, functions, files, tree, native and threads are resident bytes. None: touched, or the process
    # has no snapshot of the name asked for
    at_ns: int | None
    peak_ns: int  # when RSS of the process asked for, else of the root, was highest
    end_ns: int  # when it was about to exit, or was gone
    at_process: int  # index of the process that the moment is of: after an exec it may not be the first with its pid
    held: list[Held] | None  # of each process
    # process index, kind (1 start, 2 RSS fell, 3 asked for, 4 end), time, end (None: it has none), errno, name
    snapshots: list[tuple[int, int, int, int | None, int, str]]
    highs: list[int]  # when RSS of the first process was highest within each of some hundred equal parts of the run, ns
    marks: list[tuple[int, int, str]]  # of the program, the first thousands: process index, time, text
    # process index, time, name (docs/format.md section 8), bytes
    allocators: list[tuple[int, int, str, int]]

    read: object  # what was read, for history(); it cannot be pickled, None will do

# file, line, qualified name, first line, bytes, faults (of Releases: releases)
Line = tuple[str, int, str, int, int, int]

class History(TypedDict):
    held: list[list[Held]]  # of each moment each process's books
    cgroup: list[tuple[int | None, int | None]]  # of each moment usage and limit, KiB
    frames: list[tuple[str, int, str, int]]  # as in Result
    tree: list[tuple[int, int]]  # parent node, frame index; node 0 is the root (-1, -1); parents first
    threads: list[tuple[int, int, str]]  # process index, tid, name
    places: list[tuple[str, int]]  # native code: module path, offset in the module's file
    # tree node, thread, place (of a stack without a Python frame; else -1); None: no owner of a step
    owners: list[tuple[int, int, int] | None]
    # steps in the order of moments, columns of int64: owner index, moment, by how many bytes what it held then differs
    # from the moment before, bytes it touched since then (0 if one moment alone was asked for)
    owner: bytes
    moment: bytes
    resident: bytes
    touched: bytes

class Releases(TypedDict):
    lines: list[Line]  # bytes by which RSS fell
    bytes: int  # in all, without a Python frame too
    count: int

class Stacks(TypedDict):
    """Which stack of which thread holds and touched how much."""

    frames: list[tuple[str, int, str, int]]  # as of Result
    nodes: list[tuple[int, int]]  # parent, frame index (-1: none); node 0 is the root, parents first
    threads: list[tuple[int, int, str]]  # process index, tid, name
    # node, thread index, of a stack without a Python frame module path and offset (else "", 0), bytes resident at the
    # moment, bytes touched and faults in the whole trace
    owners: list[tuple[int, int, str, int, int, int, int]]

class Calls(TypedDict):
    # file, first line (0: not known, or no Python function), qualified name, calls, time self and total in ns, growth
    # self and total, release self and total, touched self and total, largest rise inside one call: bytes
    functions: list[tuple[str, int, str, int, int, int, int, int, int, int, int, int, int]]
    events: int  # read, without those that only tell RSS

class CallTree(TypedDict):
    # parent (-1: the root, node 0), file, first line, qualified name, calls, and with all that it called: time in ns,
    # growth, release, touched in bytes. Parents stand before children
    nodes: list[tuple[int, str, int, str, int, int, int, int, int]]
    events: int
    left_out: int  # calls without a node: they count for their caller

class LineRows(TypedDict):
    # file, line, hits, time in ns, growth, release, largest rise in bytes
    lines: list[tuple[str, int, int, int, int, int, int]]
    events: int
    left_out: int  # hits of lines whose file is not known or that are too many

# What a section shows: lines; C calls; patterns in UTF-8 that end with a NUL each; how many of them are of code that it
# shows, and then of code that it does not show.
Choice = tuple[bool, bool, bytes, int, int]

class FormatError(ValueError):
    """The file is not a readable trace. str() is one clear line without the file's name."""

def analyze(path: str, pid: int | None = None, at: At | None = None) -> Result:
    """Read a whole trace in memory bounded by its distinct stacks, not by its length.

    Raises OSError (cannot be opened or read), FormatError (foreign, newer or corrupt), ValueError (no such pid).
    A cut file is no error: complete is False.
    """

def history(path: str, pid: int | None, times: list[int], read: object = None) -> History:
    """Who held the memory at these times, ns, ascending, at most 4,096. read: of a Result of the same file; without it
    the file is read once more.

    Raises as analyze; FormatError too if another trace stands there by now, ValueError for an object of another kind.
    """

def releases(path: str, pid: int | None = None) -> Releases:
    """Which lines gave memory back, of a trace with releases. Raises as analyze."""

def pack_lines(co_linetable: bytes) -> bytes:
    """The packed line table that a trace keeps of a code object's co_linetable (docs/format.md section 7)."""

def samples(path: str) -> list[Sample]:
    """The recorder's samples of RSS by kind, bytes, in file order."""

def stacks(path: str, pid: int | None, at: At | None) -> Stacks:
    """The stacks by thread; without a moment resident bytes are those at the peak. Raises as analyze."""

def calls(path: str, pid: int | None = None) -> Calls:
    """What the event log says of each function, in memory bounded by the functions. Raises as analyze."""

def section_calls(path: str, pid: int, section: int, since: int, until: int, choice: Choice) -> Calls:
    """The same of what a section shows; the log has it between these times (ns), or not at all. Raises as analyze."""

def call_tree(path: str, pid: int | None = None, by_thread: bool = False) -> CallTree:
    """The exact call tree of a trace with events. Raises as analyze.

    by_thread: the root's children are threads; instead of a first line they have their number.
    """

def line_rows(path: str, pid: int | None = None) -> LineRows:
    """What the event log says of each line. Raises as analyze."""

# time in ns, pid, tid, depth, kind, function, file, line, RSS, its change; then the text of a mark, the number of lost
# events, the name of an unwinding exception, the bytes of a fault, or None. Sizes are bytes
_LogRow = tuple[int, int, int, int, str, str | None, str | None, int | None, int, int, str | int | None]

class Log:
    """The rows of a trace's event log in the order of time. Making it reads the whole file once. Raises as analyze."""

    t0: int  # CLOCK_MONOTONIC at time 0, ns
    texts: list[str]  # all texts of the trace, in the order of their numbers
    threads: list[tuple[int, int, str]]  # pid, tid, name; in the order of their numbers
    codes: list[tuple[int, int]]  # of each code object the numbers of its name and file: no others are in rows
    def __init__(self, path: str) -> None: ...
    def select(
        self,
        pid: int | None = None,
        since: int = 0,
        until: int | None = None,
        min_change: int = 0,
        names: bytes | None = None,
        threads: bytes | None = None,
        section: tuple[int, int, Choice] | None = None,
        kinds: int = 0,
    ) -> None:
        """Choose rows, before the first is read. Times in ns; names, threads: a byte for each text or thread; kinds: a
        bit for each of results.KINDS, 0: all.

        section: its number, bytes by which RSS must have moved since the row before (0: all rows), and what it shows.
        It needs a pid; min_change, names and threads count for nothing.
        """

    def rows(self, most: int) -> list[_LogRow] | None:
        """The next rows, perhaps none yet; None: there are no more."""

    @overload
    def columns(self) -> dict[str, bytes]: ...
    @overload
    def columns(self, most: int) -> dict[str, bytes] | None:
        """All rows that are left, or the next `most` (None: there are no more), as arrays: `t` of doubles (seconds),
        `kind` of bytes, and of 64-bit integers: pid, tid, depth, line (0: none), rss, change, count (of a fault its
        bytes, of a loss its events), and function, file, text: numbers of texts (-1: none)."""

    def spell(self, names: list[bytes], files: list[bytes]) -> None:
        """How format() writes each text, as a function and as a file."""

    def format(self, style: int, size: int) -> bytes | None:
        """The next rows as lines, about `size` bytes, perhaps none yet; None: no more. 0 plain, 1 CSV, 2 JSON."""
