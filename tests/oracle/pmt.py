"""The oracle: a pure-Python decoder of trace files and a plain aggregation of what they hold.

Written from docs/format.md alone, to check the C reader and analysis. Clarity before speed: every record becomes an
object, every stack is walked. Only tests use it. Longer than other files, so that the whole format is on one page.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import zstandard

MAGIC = b"\x89PMT\r\n\x1a\n"
BLOCK_MAGIC = b"PBLK"
HEADER_SIZE = 64
BLOCK_HEADER_SIZE = 20
MAX_STORED = 2 << 20
MAX_RAW = 1 << 20
LEFT_OUT = 0xFFFFFFFF  # the code id of a frame that stands for frames left out
U64 = (1 << 64) - 1

K = TypeVar("K")


class FormatError(ValueError):
    """The bytes are not a trace this decoder can read."""


# What a trace holds


@dataclass
class Process:
    pid: int
    parent: int
    time: int
    meta: dict[str, str] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    end: tuple[int, int, int] | None = None  # kind, status or signal, time


@dataclass
class Thread:
    process: int
    tid: int
    time: int
    name: str


class Code(NamedTuple):
    first_line: int
    file: str
    name: str


class Module(NamedTuple):
    process: int
    start: int
    size: int
    offset: int
    path: str


class Node(NamedTuple):
    """One frame below its parent. `parent` is an index into Trace.nodes, -1 for node 0."""

    parent: int
    process: int
    code: int
    offset: int


class Site(NamedTuple):
    address: int
    module: int  # 1-based; 0: none known


class Fault(NamedTuple):
    time: int
    thread: int
    address: int
    rise: int  # pages
    node: int  # index into Trace.nodes
    site: int  # 1-based; 0: none
    weight: int
    by_time: bool
    late: bool  # ASYNC
    caller: int = 0  # CALLER, 1-based; 0: none
    tick: bool = False  # TICK: no fault
    rss: int | None = None  # pages, just after it


class Event(NamedTuple):
    thread: int
    time: int  # ns
    kind: int
    value: int  # code id, line, pages or frames, as the kind has it; absolute. 0: none


class Note(NamedTuple):
    thread: int
    time: int
    what: int
    number: int
    text: str


class Sample(NamedTuple):
    process: int
    time: int
    anon: int  # KiB, like the next three
    file: int
    shmem: int
    swap: int


class Cgroup(NamedTuple):
    time: int
    usage: int  # KiB
    limit: int | None  # KiB


class Mark(NamedTuple):
    process: int
    time: int
    kind: int  # 1 start, 2 end
    rss: int  # pages


class Period(NamedTuple):
    process: int
    time: int
    period: int


class Lost(NamedTuple):
    thread: int
    time: int
    faults: int


class LeftOut(NamedTuple):
    time: int
    faults: int
    pages: int
    error: int
    events: int = 0


class Summary(NamedTuple):
    process: int
    code: int
    values: tuple[int, ...]  # calls, then self and total of time, growth, release, touched
    largest: int


class Region(NamedTuple):
    first: int  # page, like the next
    pages: int
    kind: int  # 0 anonymous, 1 heap, 2 stack, 3 file, 4 shared memory, 5 the tracer's own
    path: str


class Resident(NamedTuple):
    time: int
    first: int  # page
    runs: tuple[tuple[int, int], ...]  # pages, state: 0 not there, 1 anonymous, 2 huge, 3 file or shared, 4 swap


@dataclass
class Snapshot:
    process: int
    time: int
    kind: int  # 1 start, 2 RSS fell, 3 asked for, 4 end
    since: int
    name: str
    position: int  # in Trace.residency
    regions: list[Region] = field(default_factory=list)
    residents: list[Resident] = field(default_factory=list)
    end: int | None = None  # time; None: the file has no end of it
    error: int = 0
    kib: tuple[int, ...] = ()  # RssAnon, RssFile, RssShmem, VmSwap
    rollup: int | None = None  # KiB


class Move(NamedTuple):
    thread: int
    time: int
    old: int  # page, like the next two
    new: int
    pages: int


class Release(NamedTuple):
    thread: int
    time: int
    node: int  # index into Trace.nodes
    what: int  # 1 munmap, 2 madvise, 3 brk, 4 mremap
    first: int  # page
    pages: int
    fell: int  # pages


class Allocator(NamedTuple):
    process: int
    time: int
    name: str
    value: int


@dataclass
class Trace:
    version: tuple[int, int] = (1, 0)
    features: int = 0
    t0: int = 0
    wall_ns: int = 0
    page_size: int = 0
    file_bytes: int = 0
    good_bytes: int = 0  # end of the last whole block
    stored_bytes: int = 0  # zstd frames, without the block headers
    blocks: list[tuple[int, int]] = field(default_factory=list)  # (position, end) in the file
    complete: bool = False  # the last record is a TRAILER and nothing follows its block
    duration: int = 0  # the trailer's time; without one the latest time seen
    meta: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    codes: dict[tuple[int, int], Code] = field(default_factory=dict)
    linetables: dict[tuple[int, int], bytes] = field(default_factory=dict)
    modules: list[Module] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)  # over all NODE_RESETs
    sites: list[Site] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    cgroups: list[Cgroup] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    left_out: LeftOut | None = None
    rounds: list[int] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    # Events, Faults, Notes and Marks of the whole file, in its order
    history: list[Event | Fault | Note | Mark] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    allocators: list[Allocator] = field(default_factory=list)
    # Faults, Moves, Releases and Snapshots (where they begin) in the file's order, with the ROUNDs' times between them
    residency: list[Fault | Move | Release | Snapshot | int] = field(default_factory=list)


# Bytes to records


class _Cursor:
    """Reads the primitives of section 4 from data[pos:end]."""

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data, self.pos, self.end = data, pos, end

    def byte(self) -> int:
        if self.pos >= self.end:
            raise FormatError("a record runs over its end")
        self.pos += 1
        return self.data[self.pos - 1]

    def u(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if value > U64:
                    raise FormatError("a number is wider than 64 bits")
                return value
        raise FormatError("a number is longer than 10 bytes")

    def s(self) -> int:
        raw = self.u()
        return (raw >> 1) ^ -(raw & 1)

    def raw(self) -> bytes:
        length = self.u()
        if length > self.end - self.pos:
            raise FormatError("a string runs over its record's end")
        self.pos += length
        return self.data[self.pos - length : self.pos]

    def str(self) -> str:
        try:
            return self.raw().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise FormatError("a string is not UTF-8") from error


@dataclass
class _ThreadState:
    time: int
    address: int = 0
    node: int = -1  # index into Trace.nodes; -1: none that SAME_NODE may mean
    site: int = 0
    weight: int = 1
    seen: bool = False
    event_time: int = 0  # in units of 8 ns
    rss: int = 0
    frames: list[list[int]] = field(default_factory=list)  # open ones: [1 if Python's else 0, last line]


class _Decoder:
    """Holds what runs on from block to block."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.states: list[_ThreadState] = []
        self.samples: dict[int, Sample] = {}
        self.base = 0  # Trace.nodes index of the node numbered 1
        self.batch = -1
        self.round = 0
        self.site = 0
        self.cgroup = (0, 0)
        self.trailer = False
        self.latest = 0
        self.open: dict[int, Snapshot] = {}  # by process

    def block(self, data: bytes) -> None:
        cursor = _Cursor(data, 0, len(data))
        while cursor.pos < cursor.end:
            kind = cursor.byte()
            if kind == 0:
                continue
            self.trailer = False  # only the last record counts
            if kind >= 0x40:
                length = cursor.u()
                if length > cursor.end - cursor.pos:
                    raise FormatError("a record runs over its block's end")
                self.definition(kind, _Cursor(data, cursor.pos, cursor.pos + length))
                cursor.pos += length
            elif kind >= 0x20:
                self.fault(kind, cursor)
            else:
                self.stream(kind, cursor)

    def at(self, time: int) -> int:
        self.latest = max(self.latest, time)
        return time

    def process(self, index: int) -> int:
        if index >= len(self.trace.processes):
            raise FormatError("undefined process")
        return index

    def thread(self, index: int) -> int:
        if index >= len(self.trace.threads):
            raise FormatError("undefined thread")
        return index

    def definition(self, kind: int, c: _Cursor) -> None:
        trace = self.trace
        if kind == 0x40:
            scope = c.u()
            meta = trace.processes[self.process(scope - 1)].meta if scope else trace.meta
            key = c.str()
            meta[key] = c.str()
        elif kind == 0x41:
            trace.processes.append(Process(c.u(), c.u(), self.at(c.u())))
        elif kind == 0x42:
            process = trace.processes[self.process(c.u())]
            process.end = (c.u(), c.u(), self.at(c.u()))
        elif kind == 0x43:
            thread = Thread(self.process(c.u()), c.u(), self.at(c.u()), c.str())
            trace.threads.append(thread)
            self.states.append(_ThreadState(thread.time))
        elif kind == 0x44:
            index = self.thread(c.u())
            trace.threads[index].name = c.str()
        elif kind == 0x45:
            key2 = (self.process(c.u()), c.u())
            if not key2[1]:
                raise FormatError("code id 0")
            trace.codes[key2] = Code(c.u(), c.str(), c.str())
        elif kind == 0x46:
            key2 = (self.process(c.u()), c.u())
            if not key2[1]:
                raise FormatError("code id 0")
            trace.linetables[key2] = trace.linetables.get(key2, b"") + c.raw()
        elif kind == 0x47:
            trace.modules.append(Module(self.process(c.u()), c.u(), c.u(), c.u(), c.str()))
        elif kind == 0x48:
            trace.marks.append(Mark(self.process(c.u()), self.at(c.u()), c.u(), c.u()))
            trace.history.append(trace.marks[-1])
        elif kind == 0x49:
            trace.periods.append(Period(self.process(c.u()), self.at(c.u()), c.u()))
        elif kind == 0x4A:
            trace.lost.append(Lost(self.thread(c.u()), self.at(c.u()), c.u()))
        elif kind == 0x4B:
            counters = trace.processes[self.process(c.u())].counters
            key = c.str()
            counters[key] = c.u()
        elif kind == 0x4C:
            trace.duration = c.u()
            self.trailer = True
        elif kind == 0x4D:
            trace.left_out = LeftOut(self.at(c.u()), c.u(), c.u(), c.u(), c.u() if c.pos < c.end else 0)
        elif kind == 0x4E:
            self.events(c)
        elif kind == 0x4F:
            trace.notes.append(Note(self.thread(c.u()), self.at(c.u()), c.u(), c.u(), c.str()))
            trace.history.append(trace.notes[-1])
        elif kind == 0x50:
            process, ident = self.process(c.u()), self.code(c.u())
            trace.summaries.append(Summary(process, ident, tuple(c.u() for _ in range(9)), c.s()))
        elif 0x51 <= kind <= 0x57:
            self.residency(kind, c)

    def space(self, first: int, pages: int) -> tuple[int, int]:
        if first + pages > 1 << 52:
            raise FormatError("outside any address space")
        return first, pages

    @staticmethod
    def kind(number: int, least: int, most: int) -> int:
        if not least <= number <= most:
            raise FormatError("no such kind")
        return number

    def stack(self, number: int) -> int:
        if not 1 <= number <= len(self.trace.nodes) - self.base:
            raise FormatError("undefined node")
        return self.base + number - 1

    def residency(self, kind: int, c: _Cursor) -> None:
        trace = self.trace
        if kind in (0x55, 0x56):
            thread, time = self.thread(c.u()), self.at(c.u())
            if kind == 0x55:
                old, new, pages = c.u(), c.u(), c.u()
                self.space(old, pages)
                self.space(new, pages)
                trace.moves.append(Move(thread, time, old, new, pages))
                trace.residency.append(trace.moves[-1])
            else:
                node, what = self.stack(c.u()), self.kind(c.u(), 1, 4)
                trace.releases.append(Release(thread, time, node, what, *self.space(c.u(), c.u()), c.u()))
                trace.residency.append(trace.releases[-1])
            return
        process = self.process(c.u())
        if kind == 0x51:
            at, why, since, name = self.at(c.u()), self.kind(c.u(), 1, 4), c.u(), c.str()
            self.open[process] = Snapshot(process, at, why, since, name, len(trace.residency))
            trace.snapshots.append(self.open[process])
            trace.residency.append(self.open[process])
        elif kind == 0x52:
            region = Region(*self.space(c.u(), c.u()), self.kind(c.u(), 0, 5), c.str())
            if process in self.open:
                self.open[process].regions.append(region)
        elif kind == 0x53:
            time, first, pages = self.at(c.u()), c.u(), 0
            runs: list[tuple[int, int]] = []
            self.space(first, 0)
            while c.pos < c.end:
                run = c.u()
                runs.append((self.kind(run >> 3, 1, 1 << 52), self.kind(run & 7, 0, 4)))
                pages += run >> 3
                self.space(first, pages)
            if process in self.open:
                self.open[process].residents.append(Resident(time, first, tuple(runs)))
        elif kind == 0x54:
            time, error, kib, rollup = self.at(c.u()), c.u(), tuple(c.u() for _ in range(4)), c.u()
            snapshot = self.open.pop(process, None)
            if snapshot:
                snapshot.end, snapshot.error, snapshot.kib = time, error, kib
                snapshot.rollup = rollup - 1 if rollup else None
        elif kind == 0x57:
            trace.allocators.append(Allocator(process, self.at(c.u()), c.str(), c.u()))

    def events(self, c: _Cursor) -> None:
        thread = self.thread(c.u())
        count = c.u()
        if not 1 <= count <= 8192:
            raise FormatError("a wrong number of events")
        kinds = [c.byte() for _ in range(count)]
        size = c.u()
        if size > c.end - c.pos:
            raise FormatError("times run over their record's end")
        times = _Cursor(c.data, c.pos, c.pos + size)
        c.pos += size
        for kind in kinds:
            self.event(thread, kind, times.u(), c)
        if times.pos != times.end or c.pos != c.end:
            raise FormatError("a column is longer than its events")

    def event(self, thread: int, kind: int, delta: int, values: _Cursor) -> None:
        state = self.states[thread]
        state.event_time += delta
        value = 0
        if kind in (1, 4, 5, 7, 12):
            value = self.code(values.u())
            state.frames.append([int(kind != 7), 0])
        elif kind in (2, 3, 6, 8, 9):
            if not state.frames or state.frames.pop()[0] != (kind < 7):
                raise FormatError("an event closes a frame that is not there")
            value = self.code(values.u()) if kind == 6 else 0
        elif kind == 10:
            if not state.frames or not state.frames[-1][0]:
                raise FormatError("a line without a Python frame")
            value = state.frames[-1][1] = state.frames[-1][1] + values.s()
            if not 0 <= value < 1 << 28:
                raise FormatError("no such line")
        elif kind == 11:
            value = state.rss = state.rss + values.s()
        elif kind == 13:
            value = values.u()
            if not 1 <= value <= len(state.frames):
                raise FormatError("frames dropped that are not there")
            del state.frames[-value:]
        else:
            raise FormatError(f"unknown event {kind}")
        if len(state.frames) > 1 << 20:
            raise FormatError("deeper than a thread can be")
        self.trace.history.append(Event(thread, state.event_time * 8, kind, value))

    @staticmethod
    def code(ident: int) -> int:
        if ident >= LEFT_OUT:
            raise FormatError("no code id")
        return ident

    def stream(self, kind: int, c: _Cursor) -> None:
        trace = self.trace
        if kind == 0x01:
            self.round = self.at((self.round + c.u()) & U64)
            trace.rounds.append(self.round)
            trace.residency.append(self.round)
        elif kind == 0x02:
            self.batch = self.thread(c.u())
        elif kind == 0x03:
            self.node(c.u(), c.u(), c.u())
        elif kind == 0x04:
            self.base = len(trace.nodes)
            for state in self.states:
                state.node = -1
        elif kind == 0x05:
            self.site = (self.site + c.s()) & U64
            module = c.u()
            if module > len(trace.modules):
                raise FormatError("undefined module")
            trace.sites.append(Site(self.site, module))
        elif kind == 0x06:
            process = self.process(c.u())
            last = self.samples.get(process, Sample(process, trace.processes[process].time, 0, 0, 0, 0))
            sample = Sample(
                process,
                self.at(last.time + c.u()),
                last.anon + c.s(),
                last.file + c.s(),
                last.shmem + c.s(),
                last.swap + c.s(),
            )
            self.samples[process] = sample
            trace.samples.append(sample)
        elif kind == 0x07:
            self.cgroup = (self.at(self.cgroup[0] + c.u()), self.cgroup[1] + c.s())
            limit = c.u()
            trace.cgroups.append(Cgroup(*self.cgroup, limit - 1 if limit else None))
        elif kind == 0x08:
            self.state().weight = c.u()
        else:
            raise FormatError(f"unknown record 0x{kind:02x}")

    def state(self) -> _ThreadState:
        if self.batch < 0:
            raise FormatError("a record before any BATCH")
        return self.states[self.batch]

    def node(self, back: int, code: int, offset: int) -> None:
        nodes = self.trace.nodes
        number = len(nodes) - self.base + 1
        if not 1 <= back <= number:
            raise FormatError("a node's parent is not defined")
        parent = -1 if back == number else len(nodes) - back
        if (code == 0) != (parent == -1):
            raise FormatError("process roots, and only they, stand below node 0")
        process = self.process(offset) if code == 0 else nodes[parent].process
        nodes.append(Node(parent, process, code, offset))

    def fault(self, kind: int, c: _Cursor) -> None:
        trace, state = self.trace, self.state()
        more = c.byte() if kind & 0x10 else 0
        state.time = self.at(state.time + c.s())
        state.address = (state.address + c.s()) & U64
        rise = 1 if kind & 0x01 else c.u()
        if not kind & 0x02:
            number = c.u()
            if not 1 <= number <= len(trace.nodes) - self.base:
                raise FormatError("undefined node")
            state.node = self.base + number - 1
        elif state.node < 0:
            raise FormatError("SAME_NODE without a node")
        if not kind & 0x04:
            state.site = c.u()
            if state.site > len(trace.sites):
                raise FormatError("undefined site")
        elif not state.seen:
            raise FormatError("SAME_SITE without a site")
        state.seen = True
        caller = c.u() if more & 0x02 else 0
        if caller > len(trace.sites):
            raise FormatError("undefined caller")
        rss = None
        if more & 0x08:
            rss = state.rss = state.rss + c.s()
        trace.faults.append(
            Fault(
                state.time,
                self.batch,
                state.address,
                rise,
                state.node,
                state.site,
                state.weight,
                bool(kind & 0x08),
                bool(more & 0x01),
                caller,
                bool(more & 0x04),
                rss,
            )
        )
        trace.history.append(trace.faults[-1])
        trace.residency.append(trace.faults[-1])


def _header(data: bytes) -> Trace:
    if len(data) < HEADER_SIZE:
        raise FormatError("the header is cut")
    magic, major, minor, order, features, t0, wall, page, crc = struct.unpack("<8sHHIQQQI16xI", data[:HEADER_SIZE])
    if magic != MAGIC:
        raise FormatError("not a trace")
    if crc != zlib.crc32(data[:60]):
        raise FormatError("the header's CRC is wrong")
    if order != 0x01020304:
        raise FormatError("wrong byte order")
    if major > 1:
        raise FormatError("a newer version")
    if features & 0xFFFFFFFF:
        raise FormatError("unknown features")
    return Trace((major, minor), features, t0, wall, page, file_bytes=len(data), good_bytes=HEADER_SIZE)


def _inflate(frame: bytes, raw_length: int) -> bytes:
    try:
        size = zstandard.get_frame_parameters(frame).content_size
        if size not in (raw_length, zstandard.CONTENTSIZE_UNKNOWN):
            raise FormatError("a block's raw length is wrong")
        raw = zstandard.ZstdDecompressor().decompress(frame, max_output_size=raw_length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError("a block does not decompress") from error
    if len(raw) != raw_length:
        raise FormatError("a block's raw length is wrong")
    return raw


def _blocks(data: bytes, trace: Trace) -> Iterator[bytes]:
    """The raw bytes of each whole block. Sets good_bytes to each block's end when its records have been read."""
    pos, sequence = HEADER_SIZE, 0
    while len(data) - pos >= BLOCK_HEADER_SIZE:
        magic, number, stored, raw, crc = struct.unpack_from("<4sIIII", data, pos)
        if magic != BLOCK_MAGIC:
            if not data[pos:].strip(b"\0"):
                return  # a tail never written
            raise FormatError("not a block")
        if number != sequence or not 1 <= stored <= MAX_STORED or not 1 <= raw <= MAX_RAW:
            raise FormatError("a block's header is wrong")
        end = pos + BLOCK_HEADER_SIZE + stored
        if end > len(data):
            return  # cut
        frame = data[end - stored : end]
        if crc != zlib.crc32(frame, zlib.crc32(data[pos : pos + 16])):
            raise FormatError("a block's CRC is wrong")
        yield _inflate(frame, raw)
        trace.blocks.append((pos, end))
        trace.stored_bytes += stored
        trace.good_bytes = pos = end
        sequence += 1


def decode(source: str | os.PathLike[str] | bytes) -> Trace:
    """The trace in a file or in bytes. Raises FormatError unless it is good up to its end or to where it was cut."""
    if not isinstance(source, bytes):
        with open(source, "rb") as file:
            source = file.read()
    trace = _header(source)
    decoder = _Decoder(trace)
    for raw in _blocks(source, trace):
        decoder.block(raw)
    trace.complete = decoder.trailer and trace.good_bytes == trace.file_bytes
    if not decoder.trailer:
        trace.duration = decoder.latest
    return trace


# Instruction offset to line


def line_runs(table: bytes, first_line: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, line) of each run of a packed table: byte offsets, line 0: none. Stops where it is cut."""
    cursor, start, line = _Cursor(table, 0, len(table)), 0, first_line
    try:
        while cursor.pos < len(table):
            end, code = start + 2 * cursor.u(), cursor.u()
            if code:
                delta = (code - 1) >> 1 if (code - 1) % 2 == 0 else -((code - 1) >> 1) - 1
                line = (line + delta) % (1 << 64)
            yield start, end, line if code and line < 1 << 32 else 0
            start = end
    except FormatError:
        return


def line_of(table: bytes, first_line: int, offset: int) -> int:
    """The line of the instruction at a byte offset, 0: none."""
    for start, end, line in line_runs(table, first_line):
        if start <= offset < end:
            return line
    return 0


# Aggregation


class Frame(NamedTuple):
    file: str
    line: int
    name: str
    first_line: int


UNKNOWN_FRAME = Frame("", 0, "", 0)
LEFT_OUT_FRAME = Frame("", 0, "[frames left out]", 0)


@dataclass
class Cost:
    self: int = 0  # bytes, like total and by_time
    total: int = 0
    faults: int = 0
    by_time: int = 0


@dataclass
class TreeNode:
    parent: int
    frame: Frame | None
    cost: Cost = field(default_factory=Cost)


@dataclass
class ProcessSum:
    """What the whole trace says of one process. The peak of RSS lies between its two bounds."""

    touched: int = 0
    faults: int = 0
    rss_start: int | None = None
    rss_end: int | None = None
    rss_peak_least: int = 0
    rss_peak_most: int = 0
    periods: list[int] = field(default_factory=list)


@dataclass
class Aggregate:
    lines: dict[Frame, Cost] = field(default_factory=dict)
    functions: dict[tuple[str, int, str], Cost] = field(default_factory=dict)
    files: dict[str, Cost] = field(default_factory=dict)
    threads: dict[int, Cost] = field(default_factory=dict)
    tree: list[TreeNode] = field(default_factory=lambda: [TreeNode(-1, None)])
    native: dict[tuple[str, int], Cost] = field(default_factory=dict)
    sites: dict[tuple[str, int], Cost] = field(default_factory=dict)
    signals: int = 0
    lost: int = 0
    touched_total: int = 0
    touched_kernel: int = 0
    touched_tracer: int = 0
    touched_by_time: int = 0


def frame_of(trace: Trace, node: Node) -> Frame | None:
    """The Python frame of a node, None for a process root."""
    if node.code == 0:
        return None
    if node.code == LEFT_OUT:
        return LEFT_OUT_FRAME
    key = (node.process, node.code)
    code = trace.codes.get(key)
    if code is None:
        return UNKNOWN_FRAME
    line = line_of(trace.linetables.get(key, b""), code.first_line, node.offset)
    return Frame(code.file, line, code.name, code.first_line)


def instruction(trace: Trace, site: int) -> tuple[str, int]:
    """The module's path and the offset in its file; ("", address) when no module is known, ("", 0) without a site."""
    if site == 0:
        return "", 0
    address, number = trace.sites[site - 1]
    if number == 0:
        return "", address
    module = trace.modules[number - 1]
    return module.path, (address - module.start + module.offset) & U64


def aggregate(trace: Trace, pid: int | None = None) -> Aggregate:
    """What `_analysis.analyze` promises, over all processes or those with one pid. ValueError: no such pid."""
    chosen = {i for i, process in enumerate(trace.processes) if pid is None or process.pid == pid}
    if pid is not None and not chosen:
        raise ValueError(f"no process {pid} in the trace")
    result = Aggregate()
    frames = [frame_of(trace, node) for node in trace.nodes]
    children: dict[tuple[int, Frame], int] = {}
    for index, thread in enumerate(trace.threads):
        if thread.process in chosen:
            result.threads[index] = Cost()
    for fault in trace.faults:
        if trace.threads[fault.thread].process not in chosen:
            continue
        size = fault.rise * trace.page_size
        by_time = fault.rise if fault.tick else max(fault.rise - 1, 0) if fault.by_time else 0
        own = Cost(size, size, faults_of(fault), by_time * trace.page_size)
        result.signals += 1
        result.touched_total += size
        result.touched_by_time += own.by_time
        _add(result.threads[fault.thread], own)
        _add(result.sites.setdefault(instruction(trace, fault.site), Cost()), own)

        stack: list[Frame] = []  # innermost first
        node = fault.node
        while node >= 0:
            frame = frames[node]
            if frame is not None:
                stack.append(frame)
            node = trace.nodes[node].parent
        if not stack:
            _add(result.native.setdefault(instruction(trace, fault.caller or fault.site), Cost()), own)
        _spread(result.lines, list(stack), own)
        _spread(result.functions, [(frame.file, frame.first_line, frame.name) for frame in stack], own)
        _spread(result.files, [frame.file for frame in stack], own)

        place = 0
        result.tree[0].cost.total += size
        for frame in reversed(stack):
            if (place, frame) not in children:
                children[place, frame] = len(result.tree)
                result.tree.append(TreeNode(place, frame))
            place = children[place, frame]
            result.tree[place].cost.total += size
        result.tree[place].cost.self += size
        result.tree[place].cost.faults += own.faults
        result.tree[place].cost.by_time += own.by_time
    for index in chosen:
        counters = trace.processes[index].counters
        result.touched_kernel += counters.get("unowned_pages", 0) * trace.page_size
        result.touched_tracer += counters.get("tracer_pages", 0) * trace.page_size
    result.touched_total += result.touched_kernel + result.touched_tracer
    if trace.left_out and pid is None:
        result.touched_total += trace.left_out.pages * trace.page_size
    result.lost = sum(lost.faults for lost in trace.lost if trace.threads[lost.thread].process in chosen)
    return result


def faults_of(fault: Fault) -> int:
    """How many page faults a record stands for."""
    return 0 if fault.tick else fault.weight


def _add(cost: Cost, own: Cost) -> None:
    cost.self += own.self
    cost.total += own.total
    cost.faults += own.faults
    cost.by_time += own.by_time


def _spread(costs: dict[K, Cost], stack: list[K], own: Cost) -> None:
    """Self goes to the innermost, total once to every distinct one."""
    for key in set(stack):
        costs.setdefault(key, Cost()).total += own.total
    if stack:
        cost = costs[stack[0]]
        cost.self += own.self
        cost.faults += own.faults
        cost.by_time += own.by_time


def summarize(trace: Trace) -> list[ProcessSum]:
    """One sum a process, in the order of Trace.processes."""
    sums = [ProcessSum() for _ in trace.processes]
    for sample in trace.samples:
        process = sums[sample.process]
        process.rss_end = (sample.anon + sample.file + sample.shmem) * 1024
        process.rss_peak_least = max(process.rss_peak_least, process.rss_end)
    for mark in trace.marks:
        process = sums[mark.process]
        rss = mark.rss * trace.page_size
        if mark.kind == 1:
            process.rss_start = rss
        elif mark.kind == 2:
            process.rss_end = rss
        process.rss_peak_least = max(process.rss_peak_least, rss)
    for fault in trace.faults:
        process = sums[trace.threads[fault.thread].process]
        process.touched += fault.rise * trace.page_size
        process.faults += faults_of(fault)
    for period in trace.periods:
        sums[period.process].periods.append(period.period)
    for process, own in zip(sums, trace.processes, strict=True):
        seen = own.counters.get("rss_peak_pages", 0) * trace.page_size
        process.rss_peak_least = max(process.rss_peak_least, seen)
        process.rss_peak_most = process.rss_peak_least + process.touched
    return sums
