"""Sections of a trace: `with pymemtrace.Profile() as p` (calls), `with pymemtrace.Trace() as t` (lines), mark().

A section is part of the trace that runs in this process, or makes one like trace() does. Its beginning and end stand
in the event log, and hooks are on in between as the most demanding section that is on needs them. Within a thread a
section suspends the one around it; sections of different threads are on at the same time.

What is loaded here is in the program's memory before its section begins: reading results is a module of its own.
"""

import _thread
import os
import time

from pymemtrace import _capture, api
from pymemtrace.decorate import decorate
from pymemtrace.errors import ArgumentError
from pymemtrace.recording import Options, encodable, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, ParamSpec, Self, TypeVar, overload

    from pymemtrace.recording import Recording
    from pymemtrace.report.model import CallRow
    from pymemtrace.results import Columns, Events
    from pymemtrace.tracefile import TraceFile

    P = ParamSpec("P")
    R = TypeVar("R")
    Path = str | os.PathLike[str]
    # The arguments of _capture.hooks_on: lines, C calls, RSS at every event, lose rather than wait, what is included,
    # what is excluded, the tracer's own folder.
    Hooks = tuple[bool, bool, bool, bool, list[str], list[str], str]

_MARK, _BEGIN, _END, _SUSPEND, _RESUME = 1, 2, 3, 4, 5  # what a note says: docs/format.md
_OWN = f"{os.path.dirname(os.path.abspath(__file__))}/"
_MOST = (1 << 63) - 1

_lock = _thread.RLock()
_stacks: "dict[int, list[Section]]" = {}  # by thread: those entered and not left, the innermost last
_base: "Hooks | None" = None  # as hooks were before the first of them
_count = 0  # sections of this process so far
_forks_watched = False


# ---- hooks: what all need together ----


def _merged(one: "Hooks | None", other: "Hooks | None") -> "Hooks | None":
    """What serves both. Of two filters that differ the result lets through more than each."""
    if one is None or other is None:
        return other if one is None else one
    include = sorted({*one[4], *other[4]}) if one[4] and other[4] else []
    exclude = sorted({*one[5]} & {*other[5]})
    return one[0] or other[0], one[1] or other[1], one[2] or other[2], one[3] and other[3], include, exclude, one[6]


def _is_same(one: "Hooks | None", other: "Hooks | None") -> bool:
    if one is None or other is None:
        return one is other
    return one[:4] == other[:4] and {*one[4]} == {*other[4]} and {*one[5]} == {*other[5]}


def _needed() -> "Hooks | None":
    """By the sections that are on, and by whoever switched hooks on before them."""
    hooks = _base
    for stack in _stacks.values():
        hooks = _merged(hooks, stack[-1].options.hooks)
    return hooks


def _switch(wanted: "Hooks | None") -> str | None:
    """None, or why hooks cannot be had. What was on before is on again then."""
    present = _capture.hooks()
    if _is_same(present, wanted):
        return None
    if wanted is None:
        _capture.hooks_off()
        return None
    reason = _capture.hooks_on(*wanted)
    if reason is not None and present is not None:
        _capture.hooks_on(*present)
    return reason


def _note(what: int, section: "Section", text: str = "") -> bool:
    """False: the trace has ended, or there is no room for it."""
    return _capture.note(what, section.number, text)


# ---- one section ----


class _Choice:
    """The arguments of a section. Raises TypeError or ArgumentError if they make no sense."""

    def __init__(self, trigger: int, arguments: "dict[str, Any]") -> None:
        if isinstance(trigger, bool) or not isinstance(trigger, int):
            raise TypeError(f"d_rss_trigger must be an int, not {type(trigger).__name__}")
        if trigger > _MOST:
            raise ArgumentError(f"d_rss_trigger must be below 2**63, not {trigger}")
        for name in ("c_calls", "overwrite"):
            if not isinstance(arguments[name], bool):
                raise TypeError(f"{name} must be True or False, not {type(arguments[name]).__name__}")
        message, rss = arguments["message"], arguments["rss"]
        if message is not None and not isinstance(message, str):
            raise TypeError(f"message must be a str or None, not {type(message).__name__}")
        if not isinstance(rss, str):
            raise TypeError(f"rss must be a str, not {type(rss).__name__}")
        if rss not in ("tracked", "every"):
            raise ArgumentError(f"rss must be 'tracked' or 'every', not {rss!r}")
        self.lines = False
        self.c_calls = arguments["c_calls"]
        self.trigger = os.sysconf("SC_PAGE_SIZE") if trigger < 0 else trigger
        self.message: str | None = message
        self.overwrite: bool = arguments["overwrite"]
        self.file = _file_name(arguments["filepath"])
        include, exclude = _patterns("include", arguments["include"]), _patterns("exclude", arguments["exclude"])
        self.hooks: Hooks = (False, self.c_calls, rss == "every", False, include, exclude, _OWN)
        self.trace = Options(arguments["path"], False, self.overwrite, None, False, True, events=True)

    def with_lines(self) -> "_Choice":
        """The same of a section that records lines besides."""
        self.lines = True
        self.hooks = (True, *self.hooks[1:])
        return self


def _file_name(path: object) -> str | None:
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"filepath must be a str or a path object, not {type(path).__name__}")
    name = os.fsdecode(path)
    if not name or "\0" in name:
        raise ArgumentError("filepath must not be empty" if not name else "filepath must not contain a null character")
    return name


def _patterns(name: str, given: "Any") -> list[str]:
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name} must be a sequence of patterns, not {type(given).__name__}")
    patterns = list(given)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"{name} must hold patterns that are str, not {type(pattern).__name__}")
        if not pattern or "\0" in pattern:
            raise ArgumentError(f"{name} must hold patterns that are not empty and have no null character")
    return [encodable(pattern) for pattern in patterns]


class Section:
    """One use of a Profile or Trace: from its beginning to its end, and what is known of it for its results."""

    def __init__(self, options: _Choice) -> None:
        self.options = options
        self.number = 0
        self.pid = os.getpid()
        self.thread = _thread.get_ident()
        self.begun = self.ended = 0  # CLOCK_MONOTONIC, ns
        self.over = False
        self.reason: str | None = None  # why nothing of it is recorded
        self.recording: Recording
        self.file = ""  # the rows', absolute: the program may change its folder
        self.path = ""  # the trace's, as far as it is known
        self.events: Events | None = None

    def begin(self) -> None:
        if self.options.file is not None:
            from pymemtrace import results

            self.file = results.reserve(self.options.file, self.options.overwrite)
        try:
            self.recording = api.enter(self.options.trace)
        except BaseException:
            self._give_up_file()
            raise
        try:
            with _lock:
                self._switch_on()
        except BaseException:
            api.leave(self.recording)
            self._give_up_file()
            raise
        if self.reason is not None and _capture.engine() is not None:  # else it has been told that there is no trace
            warn(f"calls cannot be recorded: {self.reason}")

    def _give_up_file(self) -> None:
        if self.file and not self.options.overwrite:
            os.unlink(self.file)

    def _switch_on(self) -> None:
        global _base, _count
        _watch_forks()
        if not _stacks:
            _base = _capture.hooks()
        around = _stacks.get(self.thread, [])
        self.reason = _switch(_merged(_merged(_capture.hooks(), _needed()), self.options.hooks))
        if self.reason is not None:
            return
        _count += 1
        self.number = _count
        if around:
            _note(_SUSPEND, around[-1])
        _stacks[self.thread] = [*around, self]
        self.begun = time.monotonic_ns()
        if not _note(_BEGIN, self, encodable(self.options.message or "")):
            self._resume(self._switch_off())
            self.reason = "the recorder does not keep up"

    def end(self) -> None:
        """In a fork child of the process that began it: the child's part in the trace ends."""
        if self.over:
            return
        self.over = True
        if self.pid != os.getpid():
            api.leave(self.recording)
            return
        with _lock:
            outer = self._switch_off() if self.reason is None else None
        try:
            api.leave(self.recording)
            if self.file:
                from pymemtrace import results

                results.write(self)
        finally:
            with _lock:
                self._resume(outer)

    @staticmethod
    def _resume(outer: "Section | None") -> None:
        if outer is not None and not outer.over:
            _note(_RESUME, outer)

    def _switch_off(self) -> "Section | None":
        """The section that goes on."""
        global _base
        _note(_END, self)
        self.ended = time.monotonic_ns()
        stack = _stacks[self.thread]
        was_on = stack[-1] is self
        stack.remove(self)
        outer = stack[-1] if was_on and stack else None
        if not stack:
            del _stacks[self.thread]
        _switch(_needed())
        if not _stacks:
            _base = None
        return outer


def _watch_forks() -> None:
    global _forks_watched
    if not _forks_watched:
        os.register_at_fork(after_in_child=_begin_anew)
        _forks_watched = True


def _begin_anew() -> None:
    """In a fork child. Sections are a process's own; who switched hooks on before them has done so for the child."""
    global _lock, _base, _count
    _lock = _thread.RLock()
    if _stacks and _base is None:
        _capture.hooks_off()
    _stacks.clear()
    _base, _count = None, 0


# ---- for programs ----


class _Use:
    """A section as a block: of its own thread's, or (of a generator) of any."""

    def __init__(self, owner: "_Recorder") -> None:
        self._owner = owner
        self._section: Section

    def __enter__(self) -> None:
        self._section = Section(self._owner._options)
        self._section.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        try:
            self._section.end()
        finally:
            self._owner._last = self._section


class _Recorder:
    """What Profile and Trace have in common."""

    _options: _Choice
    _present: Section | None = None  # entered and not left
    _last: Section | None = None  # the last that is over

    def __repr__(self) -> str:
        state = "on" if self._present else "over" if self._last else "not entered yet"
        return f"<pymemtrace.{type(self).__name__}, {state}>"

    def __enter__(self) -> "Self":
        if self._present is not None and self._present.pid == os.getpid():
            raise RuntimeError(f"this {type(self).__name__} has been entered already and not left")
        section = Section(self._options)
        self._present = section
        try:
            section.begin()
        except BaseException:
            self._present = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        section, self._present = self._present, None
        if section is None:
            raise RuntimeError(f"this {type(self).__name__} has not been entered")
        try:
            section.end()
        finally:
            self._last = section
        if section.thread != _thread.get_ident() and section.pid == os.getpid():
            raise RuntimeError(f"this {type(self).__name__} was entered in another thread; it has ended all the same")

    def __call__(self, function: "Callable[P, R]") -> "Callable[P, R]":
        """`function`, each call of which is a section of its own; the results are those of the last that is over."""
        return decorate(function, lambda: _Use(self), f"{type(self).__name__}()")

    def _over(self) -> Section:
        name = type(self).__name__
        if self._present is not None and self._present.pid == os.getpid():
            raise RuntimeError(f"this {name} is not over: its results can be read after its end")
        if self._last is None:
            raise RuntimeError(f"this {name} has not been entered yet: it has no results")
        if self._last.pid != os.getpid():
            raise RuntimeError(f"this {name} was entered by process {self._last.pid}, which has its results")
        return self._last

    @property
    def number(self) -> int:
        """The section's number in the process, as the log tells it; 0: nothing of it was recorded."""
        return self._over().number

    @property
    def events(self) -> "Events":
        """The rows of the section that is over, in the order of time. They are read when they are asked for.

        Raises RuntimeError before that, PymemtraceError if the trace cannot be read.
        """
        from pymemtrace import results

        section = self._over()
        if section.events is None:
            section.events = results.Events(section)
        return section.events

    def columns(self) -> "Columns":
        """The rows as columns: memory views, which numpy.frombuffer takes as they are. Raises as `events`."""
        return self.events.columns

    @property
    def summary(self) -> "list[CallRow]":
        """What happened in the section by function, the largest growth of its own first. Raises as `events`."""
        from pymemtrace import results

        return results.summary(self._over())


_DOC = """

    d_rss_trigger: bytes by which RSS must differ from that of the row before for a row to be shown; the first and the
        last row, marks and losses always are. 0: every event is a row; < 0: a page.
    filepath: where the rows are written at the end, as `pymemtrace log` prints them: text, CSV if the name ends in
        .csv, JSON lines if it ends in .json or .jsonl. FileExistsError if it is there, unless `overwrite`.
    message: stands at the section's beginning in the log, and opens that file.
    path: the trace's file, if no trace runs in this process; by default as trace() names it.
    c_calls: record calls of functions that are not Python's.
    include, exclude: patterns of the modules, files or functions to record, or not, as for `pymemtrace run`.
    rss: "tracked" (read every 20 us and at page faults) or "every" (read at each event).
    overwrite: replace the files that are there.

    Where hooks cannot be had one TraceWarning says why, and there are no rows. Raises TypeError or ArgumentError (a
    ValueError) for a wrong argument; OSError, before anything is traced, if a file cannot be made; RuntimeError if it
    is entered twice at a time, left in another thread than it was entered in, or asked for results before its end.
    """


class Profile(_Recorder):
    __doc__ = (
        """A section that records calls and returns: a context manager, and a decorator of functions of any kind::

        with pymemtrace.Profile(message="loading") as p:
            load()
        for row in p.events: ...
        p.summary[:10]

        @pymemtrace.Profile(filepath="work.csv")
        async def work(): ...
    """
        + _DOC
    )

    def __init__(
        self,
        d_rss_trigger: int = -1,
        *,
        filepath: "Path | None" = None,
        message: str | None = None,
        path: "Path | None" = None,
        c_calls: bool = True,
        include: "Iterable[str]" = (),
        exclude: "Iterable[str]" = (),
        rss: str = "tracked",
        overwrite: bool = False,
    ) -> None:
        self._options = _Choice(d_rss_trigger, dict(locals()))


class Trace(_Recorder):
    __doc__ = (
        """A section that records calls, returns and lines: as Profile, with rows of kind `line` besides::

        with pymemtrace.Trace(0) as t:
            work()

    With a file's name as the first argument it gives what TraceFile gives, the trace in that file:
    `pymemtrace.Trace("job.pmt").by_line`.
    """
        + _DOC
    )

    if TYPE_CHECKING:

        @overload
        def __new__(cls, path: Path, /, pid: int | None = None) -> TraceFile: ...  # type: ignore[misc]
        @overload
        def __new__(
            cls,
            d_rss_trigger: int = -1,
            *,
            filepath: Path | None = None,
            message: str | None = None,
            path: Path | None = None,
            c_calls: bool = True,
            include: Iterable[str] = (),
            exclude: Iterable[str] = (),
            rss: str = "tracked",
            overwrite: bool = False,
        ) -> Self: ...

    def __new__(cls, *arguments: "Any", **named: "Any") -> "Any":
        # What asks an ABC runs code that a section around this one would show: not for the usual.
        if arguments and type(arguments[0]) is not int and isinstance(arguments[0], (str, os.PathLike)):
            from pymemtrace.tracefile import TraceFile

            return TraceFile(*arguments, **named)
        self = super().__new__(cls)
        self._options = Profile(*arguments, **named)._options.with_lines()
        return self


def mark(text: str) -> bool:
    """Put `text` into the event log, between the calling thread's events. False: none is being recorded.

    It costs about a microsecond; the log keeps 16 KiB of it. Raises TypeError if it is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    try:
        return _capture.note(_MARK, 0, text)
    except UnicodeEncodeError:
        return mark(encodable(text))
