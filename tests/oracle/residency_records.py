"""The records of residency, 0x51 to 0x57: snapshots of which pages are there, moves, releases, allocators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from oracle.cursor import Cursor, FormatError

if TYPE_CHECKING:
    from oracle.records import Trace


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


class ResidencyRecords:
    """The part of the decoder that reads them."""

    trace: Trace

    def __init__(self) -> None:
        self.open: dict[int, Snapshot] = {}  # by process

    def at(self, time: int) -> int:
        raise NotImplementedError

    def process(self, index: int) -> int:
        raise NotImplementedError

    def thread(self, index: int) -> int:
        raise NotImplementedError

    def stack(self, number: int) -> int:
        raise NotImplementedError

    def space(self, first: int, pages: int) -> tuple[int, int]:
        if first + pages > 1 << 52:
            raise FormatError("outside any address space")
        return first, pages

    @staticmethod
    def kind(number: int, least: int, most: int) -> int:
        if not least <= number <= most:
            raise FormatError("no such kind")
        return number

    def residency(self, kind: int, c: Cursor) -> None:
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
