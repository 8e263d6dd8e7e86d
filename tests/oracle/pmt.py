"""The oracle: a pure-Python decoder of trace files.

Written from docs/format.md alone, to check the C reader. Clarity before speed: every record becomes an object
(records.py). What they mean: frames.py, sums.py (what was touched), residency.py (who holds what), events.py.
Only tests use it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import zstandard

from oracle.cursor import U64, Cursor, FormatError
from oracle.frames import LEFT_OUT
from oracle.records import (
    Cgroup,
    Code,
    Event,
    Fault,
    LeftOut,
    Lost,
    Mark,
    Module,
    Node,
    Note,
    Period,
    Process,
    Sample,
    Site,
    Summary,
    Thread,
    Trace,
)
from oracle.residency_records import ResidencyRecords

MAGIC = b"\x89PMT\r\n\x1a\n"
BLOCK_MAGIC = b"PBLK"
HEADER_SIZE = 64
BLOCK_HEADER_SIZE = 20
MAX_STORED = 2 << 20
MAX_RAW = 1 << 20


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


class _Decoder(ResidencyRecords):
    """Holds what runs on from block to block."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
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

    def block(self, data: bytes) -> None:
        cursor = Cursor(data, 0, len(data))
        while cursor.pos < cursor.end:
            kind = cursor.byte()
            if kind == 0:
                continue
            self.trailer = False  # only the last record counts
            if kind >= 0x40:
                length = cursor.u()
                if length > cursor.end - cursor.pos:
                    raise FormatError("a record runs over its block's end")
                self.definition(kind, Cursor(data, cursor.pos, cursor.pos + length))
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

    def definition(self, kind: int, c: Cursor) -> None:
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
        elif kind == 0x58:
            key2 = (self.process(c.u()), c.u())
            if not key2[1]:
                raise FormatError("code id 0")
            trace.code_modules[key2] = c.str()
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

    def stack(self, number: int) -> int:
        if not 1 <= number <= len(self.trace.nodes) - self.base:
            raise FormatError("undefined node")
        return self.base + number - 1

    def events(self, c: Cursor) -> None:
        thread = self.thread(c.u())
        count = c.u()
        if not 1 <= count <= 8192:
            raise FormatError("a wrong number of events")
        kinds = [c.byte() for _ in range(count)]
        size = c.u()
        if size > c.end - c.pos:
            raise FormatError("times run over their record's end")
        times = Cursor(c.data, c.pos, c.pos + size)
        c.pos += size
        for kind in kinds:
            self.event(thread, kind, times.u(), c)
        if times.pos != times.end or c.pos != c.end:
            raise FormatError("a column is longer than its events")

    def event(self, thread: int, kind: int, delta: int, values: Cursor) -> None:
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

    def stream(self, kind: int, c: Cursor) -> None:
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

    def fault(self, kind: int, c: Cursor) -> None:
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
        fell_to = c.u() if more & 0x10 else None
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
                fell_to,
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
