"""Perfetto's native trace: https://perfetto.dev/docs/reference/synthetic-track-event

Calls are slices of their thread's track, page faults, marks and losses instants, RSS and its kinds counters of the
process. Written as the log is read: packets need not be in the order of time. Times are ns since the start of the
trace. Rows of the kind `line` are left out: a slice is a call.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymemtrace.export import tables
from pymemtrace.export.proto import integer, message, present, text, varint
from pymemtrace.report import header
from pymemtrace.report.facts import UNKNOWN
from pymemtrace.report.text import clean
from pymemtrace.results import KINDS

if TYPE_CHECKING:
    from pymemtrace._analysis import Log
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output
    from pymemtrace.tracefile import TraceFile

_BATCH_ROWS = 1 << 16
# Fields of TracePacket, TrackEvent and InternedData.
_TIMESTAMP, _SEQUENCE, _TRACK_EVENT, _INTERNED, _FLAGS, _DESCRIPTOR = 8, 10, 11, 12, 13, 60
_TYPE, _NAME_IID, _TRACK, _NAME, _ANNOTATION, _VALUE, _SOURCE = 9, 10, 11, 23, 4, 30, 34
_NAMES, _SOURCES = 2, 4
_BEGIN, _END, _INSTANT, _COUNTER = 1, 2, 3, 4
_BYTES_UNIT = 3
_ONE_SEQUENCE = integer(_SEQUENCE, 1)
_STATE = integer(_FLAGS, 2)  # needs what was interned before

_OPENS = frozenset(KINDS.index(kind) for kind in ("call", "resume", "throw", "c_call"))
_CLOSES = frozenset(KINDS.index(kind) for kind in ("return", "yield", "unwind", "c_return", "c_raise"))
_LINE, _FAULT, _MARK, _LOST = (KINDS.index(kind) for kind in ("line", "fault", "mark", "lost"))
# The counters of a process; the first is RSS as the log tells it, or the sum of the next three.
_COUNTERS = {"RSS": "", "RSS anonymous": "anon", "RSS files": "file", "RSS shared memory": "shmem", "swap": "swap"}


def write(request: "Request", out: "Output") -> None:
    """Write all packets."""
    tracks = _Tracks(request.trace)
    out.write(_packet(_ONE_SEQUENCE + integer(_FLAGS, 1)))  # nothing is interned yet
    for piece in _samples(request.trace, tracks):
        out.write(piece)
    for piece in _Slices(tables.log(request.trace), tracks).pieces():
        out.write(piece)


_HEADS = [message(1, bytes(size))[:2] for size in range(0x80)]


def _packet(fields: bytes) -> bytes:
    size = len(fields)
    return _HEADS[size] + fields if size < 0x80 else message(1, fields)


def _at(time_ns: int, event: bytes) -> bytes:
    """A packet with a track event. The timestamp of 0 is written too: it means something."""
    return _packet(present(_TIMESTAMP, time_ns) + event)


_LOW_BITS = 14  # two bytes of a varint
_LOWS = [varint(_TIMESTAMP << 3) + bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << _LOW_BITS)]


class _Stamps:
    """The same, faster: most times differ from the one before in their low bits alone, and the rest is kept."""

    def __init__(self) -> None:
        self._high = 0
        self._rest = b""

    def at(self, time_ns: int, event: bytes) -> bytes:
        """As _at."""
        high = time_ns >> _LOW_BITS
        if high != self._high:
            self._high, self._rest = high, varint(high)
        if not high:
            return _at(time_ns, event)
        return _packet(_LOWS[time_ns & (1 << _LOW_BITS) - 1] + self._rest + event)


def _event(fields: bytes) -> bytes:
    return _ONE_SEQUENCE + _STATE + message(_TRACK_EVENT, fields)


class _Tracks:
    """Tracks of processes, threads and counters. A new one is announced by a packet, which `announced` gives once."""

    def __init__(self, trace: "TraceFile") -> None:
        self._commands = {p.pid: header.command_text(p.command) for p in trace.processes}
        # Where it has no calls the log knows RSS at the start and the end alone.
        self._known = {p.pid for p in trace.processes if p.meta.get("events") or p.counters.get("events")}
        self._numbers: dict[tuple[int, int | str | None], int] = {}
        self._news: list[bytes] = []
        self.threads: dict[tuple[int, int], str] = {}

    def announced(self) -> bytes:
        """The packets of tracks that are new."""
        packets = b"".join(self._news)
        self._news.clear()
        return packets

    def log_tells_rss(self, pid: int) -> bool:
        """Whether the log has the RSS of this process at each event."""
        return pid in self._known

    def process(self, pid: int) -> int:
        """The number of a process's track."""
        name = self._commands.get(pid, "")
        return self._track((pid, None), message(3, integer(1, pid) + text(6, name or f"process {pid}")))

    def thread(self, pid: int, tid: int) -> int:
        """The number of a thread's track."""
        parent = self.process(pid)
        name = clean(self.threads.get((pid, tid), ""))
        thread = integer(1, pid) + integer(2, tid) + (text(5, name) if name else b"")
        return self._track((pid, tid), integer(5, parent) + message(4, thread))

    def counter(self, pid: int, name: str) -> int:
        """The number of a counter's track."""
        parent = self.process(pid)
        return self._track((pid, name), text(2, name) + integer(5, parent) + message(8, integer(3, _BYTES_UNIT)))

    def _track(self, key: tuple[int, int | str | None], fields: bytes) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers) + 1
            self._news.append(_packet(_ONE_SEQUENCE + message(_DESCRIPTOR, integer(1, number) + fields)))
        return number


def _count(time_ns: int, track: int, value: int) -> bytes:
    return _at(time_ns, _event(integer(_TYPE, _COUNTER) + integer(_TRACK, track) + present(_VALUE, value)))


def _samples(trace: "TraceFile", tracks: _Tracks) -> Iterator[bytes]:
    """What the recorder saw of each process, from time to time."""
    for sample in trace.samples():
        pid = trace.processes[sample["process"]].pid
        if trace.pid not in (None, pid):
            continue
        values = {name: sample[key] for name, key in _COUNTERS.items() if key}  # type: ignore[literal-required]
        if not tracks.log_tells_rss(pid):
            values["RSS"] = sample["anon"] + sample["file"] + sample["shmem"]
        packets = [_count(sample["time_ns"], tracks.counter(pid, name), value) for name, value in values.items()]
        yield tracks.announced() + b"".join(packets)


class _Thread:
    """A thread's track while the log is read."""

    def __init__(self, track: int) -> None:
        self.open = 0  # slices
        self.track = integer(_TRACK, track)
        self.end = _event(integer(_TYPE, _END) + self.track)
        self.begins: dict[tuple[int, int, int], bytes] = {}  # function, file, line -> how its slice begins


class _Slices:
    """Packets of the log's rows."""

    def __init__(self, log: "Log", tracks: _Tracks) -> None:
        self._log = log
        self._texts = log.texts
        self._tracks = tracks
        tracks.threads.update(((pid, tid), name) for pid, tid, name in log.threads)
        self._threads: dict[tuple[int, int], _Thread] = {}
        self._rss: dict[int, int] = {}
        self._last: dict[int, int] = {}  # time of a process's last row, ns
        self._names: dict[int, int] = {}
        self._sources: dict[tuple[int, int, int], int] = {}
        self._out: list[bytes] = []
        self._at = _Stamps().at

    def pieces(self) -> Iterator[bytes]:
        """The packets, many at a time; slices that are open at the end of their process's rows end there."""
        while (found := self._log.columns(_BATCH_ROWS)) is not None:
            self._rows(found)
            yield self._take()
        for (pid, _tid), thread in self._threads.items():
            self._close(thread, 0, self._last[pid])
        yield self._take()

    def _take(self) -> bytes:
        packets = b"".join(self._out)
        self._out.clear()
        return packets

    def _rows(self, found: dict[str, bytes]) -> None:
        whole = ("pid", "tid", "depth", "rss", "function", "file", "line", "text", "count")
        columns = [memoryview(found[name]).cast("q") for name in whole]
        threads, rss_of, add = self._threads, self._rss, self._out.append
        time = 0
        pid = -1
        for seconds, kind, pid, tid, depth, rss, *what in zip(
            memoryview(found["t"]).cast("d"), found["kind"], *columns, strict=True
        ):
            time = int(seconds * 1e9 + 0.5)
            thread = threads.get((pid, tid)) or self._new_thread(pid, tid)
            if rss_of.get(pid) != rss:
                self._new_rss(time, pid, rss)
            if kind in _OPENS:
                if thread.open > depth:
                    self._close(thread, depth, time)
                begin = thread.begins.get((what[0], what[1], what[2])) or self._new_begin(thread, *what[:3])
                add(self._at(time, begin))
                thread.open += 1
            elif kind in _CLOSES:
                self._close(thread, depth, time)
            elif kind != _LINE:
                add(self._at(time, self._instant(thread, kind, *what)))
            elif thread.open > depth + 1:
                self._close(thread, depth + 1, time)
            self._last[pid] = time

    def _new_thread(self, pid: int, tid: int) -> _Thread:
        thread = self._threads[pid, tid] = _Thread(self._tracks.thread(pid, tid))
        self._out.append(self._tracks.announced())
        return thread

    def _new_rss(self, time: int, pid: int, rss: int) -> None:
        self._rss[pid] = rss
        if self._tracks.log_tells_rss(pid):
            track = self._tracks.counter(pid, "RSS")
            self._out.append(self._tracks.announced())
            self._out.append(_count(time, track, rss))

    def _close(self, thread: _Thread, depth: int, time: int) -> None:
        """End slices until so many are open."""
        while thread.open > depth:
            self._out.append(self._at(time, thread.end))
            thread.open -= 1

    def _text(self, number: int) -> str:
        return clean(self._texts[number]) if number >= 0 else UNKNOWN

    def _intern(self, field: int, number: int, fields: bytes) -> None:
        """Announce a name that later packets use by its number."""
        interned = message(_INTERNED, message(field, integer(1, number) + fields))
        self._out.append(_packet(_ONE_SEQUENCE + _STATE + interned))

    def _new_begin(self, thread: _Thread, function: int, file: int, line: int) -> bytes:
        name = self._names.get(function)
        if name is None:
            name = self._names[function] = len(self._names) + 1
            self._intern(_NAMES, name, text(2, self._text(function)))
        source = self._sources.get((function, file, line))
        if source is None:
            source = self._sources[function, file, line] = len(self._sources) + 1
            place = text(2, self._text(file)) + text(3, self._text(function)) + integer(4, line)
            self._intern(_SOURCES, source, place)
        fields = integer(_TYPE, _BEGIN) + thread.track + integer(_NAME_IID, name) + integer(_SOURCE, source)
        event = thread.begins[function, file, line] = _event(fields)
        return event

    def _instant(self, thread: _Thread, kind: int, function: int, file: int, line: int, mark: int, count: int) -> bytes:
        name, notes = self._text(mark), b""
        if kind == _FAULT:
            name, notes = "page fault", _note("bytes", present(4, count))
            if function >= 0:
                notes += _note("function", text(6, self._text(function)))
                notes += _note("at", text(6, f"{self._text(file)}:{line}"))
        elif kind == _LOST:
            name = f"{count:,} events were lost here"
        return _event(integer(_TYPE, _INSTANT) + thread.track + text(_NAME, name) + notes)


def _note(name: str, value: bytes) -> bytes:
    return message(_ANNOTATION, text(10, name) + value)
