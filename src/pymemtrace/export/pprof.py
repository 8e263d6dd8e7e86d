"""pprof's profile: https://github.com/google/pprof/blob/main/proto/profile.proto, compressed with gzip.

A sample is a stack of one thread, with what was resident at the moment, touched in the whole run, page faults, and, of
a trace with calls, calls and time. Its labels are `thread` (a name), `tid` and `pid`.
"""

import gzip
from typing import TYPE_CHECKING

from pymemtrace.export import stacks as stack_tree
from pymemtrace.export.proto import integer, message, packed, text
from pymemtrace.report import header
from pymemtrace.report.modules import names_of
from pymemtrace.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output
    from pymemtrace.export.stacks import Frame, Sample, Stacks, Thread
    from pymemtrace.report.modules import ModuleNames

# Fields of Profile.
_SAMPLE_TYPE, _SAMPLE, _MAPPING, _LOCATION, _FUNCTION, _STRINGS = 1, 2, 3, 4, 5, 6
_TIME_NS, _DURATION_NS, _COMMENT, _DEFAULT_TYPE = 9, 10, 13, 14


class _Strings:
    """The table of strings; number 0 is the empty one."""

    def __init__(self) -> None:
        self._numbers = {"": 0}

    def __call__(self, value: str) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    def fields(self) -> "Iterator[bytes]":
        return (text(_STRINGS, value) for value in self._numbers)


def write(request: "Request", out: "Output") -> None:
    """Write the profile. The order of fields is free, so the strings come last, when all are known."""
    stacks = stack_tree.read(request)
    if stacks.trace.has_events:
        stack_tree.add_time(stacks)
    # No time and no name in the head: the same trace gives the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed_out:
        for piece in _profile(stacks, request):
            packed_out.write(piece)


def _profile(stacks: "Stacks", request: "Request") -> "Iterator[bytes]":
    strings = _Strings()
    timed = stacks.trace.has_events
    kinds = [("resident", "bytes"), ("touched", "bytes"), ("faults", "count")]
    kinds += [("calls", "count"), ("time", "nanoseconds")] if timed else []
    for name, unit in kinds:
        yield message(_SAMPLE_TYPE, integer(1, strings(name)) + integer(2, strings(unit)))
    yield integer(_DEFAULT_TYPE, strings("touched" if request.at is None else "resident"))
    yield from _mapping(stacks, strings)
    yield from _functions(stacks, strings)
    yield from _locations(stacks.frames)
    for sample in stacks.samples:
        yield message(_SAMPLE, _sample(stacks, sample, timed, strings))
    yield integer(_TIME_NS, stacks.trace.result["wall_ns"])
    yield integer(_DURATION_NS, stacks.trace.result["duration_ns"])
    yield packed(_COMMENT, [strings(header.command_text(stacks.trace.command))])
    yield from strings.fields()


def _mapping(stacks: "Stacks", strings: _Strings) -> "Iterator[bytes]":
    """The program, with all its names: pprof looks for none then."""
    command = stacks.trace.command
    known = b"".join(integer(has, 1) for has in (7, 8, 9))  # functions, file names, line numbers
    yield message(_MAPPING, integer(1, 1) + integer(5, strings(command[0] if command else "")) + known)


def _functions(stacks: "Stacks", strings: _Strings) -> "Iterator[bytes]":
    """One a function; ids count from 1. The names have their module before them: pprof adds up by name."""
    modules = names_of(stacks.trace.result)
    for number, (name, file, first) in enumerate(_distinct(stacks.frames), 1):
        fields = integer(2, strings(clean(_qualified(name, file, first, modules)))) + integer(4, strings(file))
        yield message(_FUNCTION, integer(1, number) + fields + integer(5, first))


def _qualified(name: str, file: str, first: int, modules: "ModuleNames") -> str:
    module = modules(file) if first else ""  # of what is not Python it would be the library's file
    return name if not first or module.startswith(("<", "[")) else f"{module}.{name}"


def _distinct(frames: "list[Frame]") -> "dict[tuple[str, str, int], None]":
    return dict.fromkeys((frame.name, frame.file, frame.first_line) for frame in frames)


def _locations(frames: "list[Frame]") -> "Iterator[bytes]":
    """A line of a function; ids count from 1."""
    functions = {function: number for number, function in enumerate(_distinct(frames), 1)}
    for number, frame in enumerate(frames, 1):
        line = integer(1, functions[frame.name, frame.file, frame.first_line]) + integer(2, frame.line)
        yield message(_LOCATION, integer(1, number) + integer(2, 1) + message(4, line))


def _sample(stacks: "Stacks", sample: "Sample", timed: bool, strings: _Strings) -> bytes:
    values = [sample.resident, sample.touched, sample.faults]
    values += [sample.calls, sample.time_ns] if timed else []
    locations = [frame + 1 for frame in stacks.path(sample.node)]
    locations.reverse()  # the leaf first
    return packed(1, locations) + packed(2, values) + _labels(sample.thread, strings)


def _labels(thread: "Thread", strings: _Strings) -> bytes:
    fields = message(3, integer(1, strings("pid")) + integer(3, thread.pid))
    if thread.tid is not None:
        fields += message(3, integer(1, strings("tid")) + integer(3, thread.tid))
        fields += message(3, integer(1, strings("thread")) + integer(2, strings(clean(thread.name or str(thread.tid)))))
    return fields
