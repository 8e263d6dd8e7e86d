"""What a section recorded, read back from its trace: rows one by one, columns, sums by function, a file of rows."""

import errno
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, overload

from pymemtrace import _capture
from pymemtrace.errors import PymemtraceError
from pymemtrace.report import eventrows, load, logtext
from pymemtrace.report.text import clean

if TYPE_CHECKING:
    from pymemtrace._analysis import Choice, Log
    from pymemtrace.report.model import CallRow
    from pymemtrace.sections import Section

KINDS = (
    "",
    "call",
    "return",
    "yield",
    "resume",
    "throw",
    "unwind",
    "c_call",
    "c_return",
    "c_raise",
    "line",
    "fault",
    "mark",
    "lost",
)
_BATCH = 4096
# Between the program's clock and the times in the log: a hook reads another clock, which the recorder converts.
_BEFORE_NS, _AFTER_NS = 10_000_000, 2_000_000_000


class Row(NamedTuple):
    """A row of a section. Sizes are bytes; `change` is that of RSS since the section's row before."""

    t: float  # seconds since the start of the trace
    pid: int
    tid: int
    depth: int
    kind: str  # one of KINDS
    function: str | None  # qualified name
    file: str | None
    line: int | None
    rss: int
    change: int
    text: str | None  # of a mark; the name of an exception that leaves a function; what was lost


def _lost(count: int) -> str:
    return f"{count} events were lost here"


# ---- the trace ----


def _trace_of(section: "Section") -> str:
    """The trace's file, which holds all of the section. Raises PymemtraceError."""
    recording = section.recording
    if recording.file and not recording.running:
        return recording.file
    try:
        section.path = _capture.flush() or recording.file
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise PymemtraceError("the recorder does not answer: the trace may lack the section's end") from None
        section.path = section.path or recording.file  # the recorder has gone: what there is
    if not section.path:
        raise PymemtraceError("the trace that the section is part of is not known: its recorder has gone")
    return section.path


def _open(section: "Section") -> "Log":
    log = load.open_log(_trace_of(section))
    since, until = _limits(section, log)
    wanted = (section.number, section.options.trigger, _choice(section))
    log.select(pid=section.pid, since=since, until=until, section=wanted)
    return log


def _choice(section: "Section") -> "Choice":
    """What it shows: others may have recorded more."""
    include, exclude = section.options.hooks[4:6]
    patterns = "".join(f"{pattern}\0" for pattern in (*include, *exclude)).encode()
    return section.options.lines, section.options.c_calls, patterns, len(include), len(exclude)


def _limits(section: "Section", log: "Log") -> tuple[int, int]:
    """Where the log has the section, ns: an earlier program of the same pid had sections of the same numbers."""
    return max(section.begun - log.t0 - _BEFORE_NS, 0), max(section.ended - log.t0 + _AFTER_NS, 0)


# ---- results ----


class Columns:
    """The rows of a section as columns: memory views over memory that is kept with them.

    `t` is of doubles (seconds since the start of the trace), `kind` of unsigned bytes (numbers of `kinds`), all
    others of 64-bit integers: `pid`, `tid`, `depth`, `line` (0: none), `rss` and `change` in bytes, `count` (of a fault
    the bytes it brought in, of a loss the events), and `function`, `file` and `text`: numbers of `names`, -1: none.
    """

    def __init__(self, found: dict[str, bytes], names: list[str]) -> None:
        self.names = names
        self.kinds = KINDS
        self.t = memoryview(found["t"]).cast("d")
        self.kind = memoryview(found["kind"])
        self.pid = self._numbers(found["pid"])
        self.tid = self._numbers(found["tid"])
        self.depth = self._numbers(found["depth"])
        self.function = self._numbers(found["function"])
        self.file = self._numbers(found["file"])
        self.line = self._numbers(found["line"])
        self.rss = self._numbers(found["rss"])
        self.change = self._numbers(found["change"])
        self.text = self._numbers(found["text"])
        self.count = self._numbers(found["count"])

    @staticmethod
    def _numbers(data: bytes) -> "memoryview[int]":
        return memoryview(data).cast("q")

    def __len__(self) -> int:
        return len(self.kind)

    def __repr__(self) -> str:
        return f"<pymemtrace.Columns, {len(self)} rows>"

    def _name(self, number: int) -> str | None:
        return None if number < 0 else self.names[number]

    def row(self, at: int) -> Row:
        """Row number `at`, from 0 on."""
        kind = KINDS[self.kind[at]]
        return Row(
            self.t[at],
            self.pid[at],
            self.tid[at],
            self.depth[at],
            kind,
            self._name(self.function[at]),
            self._name(self.file[at]),
            self.line[at] or None,
            self.rss[at],
            self.change[at],
            _lost(self.count[at]) if kind == "lost" else self._name(self.text[at]),
        )


_NOTHING = dict.fromkeys(
    ("t", "kind", "pid", "tid", "depth", "function", "file", "line", "rss", "change", "text", "count"), b""
)


class Events(Sequence[Row]):
    """The rows of a section, in the order of time.

    To go through them reads them as it goes, however many there are. Their number, and any of them by its number, takes
    about 90 bytes of memory a row.
    """

    def __init__(self, section: "Section") -> None:
        self._section = section

    def __repr__(self) -> str:
        return f"<pymemtrace.Events of section {self._section.number}>"

    @cached_property
    def columns(self) -> Columns:
        """All of them at once."""
        if self._section.reason is not None:
            return Columns(_NOTHING, [])
        log = _open(self._section)
        return Columns(log.columns(), log.texts)

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Row]:
        if self._section.reason is not None:
            return
        log = _open(self._section)
        while (batch := log.rows(_BATCH)) is not None:
            for row in batch:
                extra = row[10]
                text = _lost(int(extra or 0)) if row[4] == "lost" else extra if isinstance(extra, str) else None
                yield Row(row[0] / 1e9, *row[1:10], text)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        numbers = range(len(self))
        if isinstance(at, slice):
            return [self.columns.row(number) for number in numbers[at]]
        return self.columns.row(numbers[at])


def summary(section: "Section") -> "list[CallRow]":
    """By function."""
    if section.reason is not None:
        return []
    path = _trace_of(section)
    limits = _limits(section, load.open_log(path))
    return eventrows.call_rows(load.section_calls(path, section.pid, section.number, *limits, _choice(section)))


# ---- the file of rows ----


def reserve(path: str, overwrite: bool) -> str:
    """See to it that the file can be written: its absolute name. Raises OSError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if overwrite else os.O_EXCL), 0o666))
    except FileExistsError:
        message = "the file is there: overwrite it with overwrite=True, or name another one with filepath"
        raise FileExistsError(errno.EEXIST, message, path) from None
    return os.path.abspath(path)


def write(section: "Section") -> None:
    """Write the section's rows into its file."""
    message, name = section.options.message, section.file.lower()
    style = logtext.CSV if name.endswith(".csv") else logtext.PLAIN
    style = logtext.JSON if name.endswith((".json", ".jsonl")) else style
    with open(section.file, "wb") as out:
        if message is not None:
            out.write(_opening(message, style))
        out.write({logtext.PLAIN: logtext.PLAIN_HEADER, logtext.CSV: logtext.CSV_HEADER, logtext.JSON: b""}[style])
        if section.reason is None:
            logtext.write(_open(section), style, str, out)


def _opening(message: str, style: int) -> bytes:
    if style == logtext.JSON:
        return json.dumps({"message": message}).encode() + b"\n"
    text = clean(message).encode("utf-8", "backslashreplace")
    return (b"# " if style == logtext.CSV else b"") + text + b"\n"
