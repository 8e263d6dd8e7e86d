"""What a trace holds, as objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from oracle.residency_records import Allocator, Move, Release, Snapshot


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
    fell_to: int | None = None  # pages: RSS, found lower than at the reading before


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
    code_modules: dict[tuple[int, int], str] = field(default_factory=dict)
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
