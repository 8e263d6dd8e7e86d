"""Writes synthetic traces, the mirror of pmt.py: what tests need to know the content of a trace beforehand.

The Writer takes absolute values, keeps the deltas and numbers as docs/format.md prescribes, cuts the records into
blocks and remembers in `faults`, `nodes` and so on what a decoder must find.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from oracle.encode import (
    COMPACT,
    LEFT_OUT,
    ONE,
    SAME_NODE,
    SAME_SITE,
    U64,
    batch,
    block,
    cgroup,
    code,
    code_lines,
    cold,
    counter,
    events,
    fault,
    header,
    left_out,
    line_run,
    lost,
    mark,
    meta,
    module,
    node,
    node_reset,
    note,
    period,
    process,
    process_end,
    random_linetable,
    round_,
    s,
    sample,
    site,
    summary,
    thread,
    thread_name,
    trailer,
    u,
    weight,
)


@dataclass
class _ThreadState:
    time: int
    address: int = 0
    node: int = 0  # index over all resets, from 1; 0: none that SAME_NODE may mean
    site: int = -1
    weight: int = 1
    event_time: int = 0  # in units of 8 ns
    rss: int = 0
    lines: list[int] = field(default_factory=list)  # the last LINE of each open frame


class Writer:
    """Encodes absolute values. Nodes and sites are named by the indices node() and site() return, from 1."""

    def __init__(self, *, page_size: int = 4096, block_size: int = 1 << 20, minor: int = 0, features: int = 0) -> None:
        self.block_size = block_size
        self.file = bytearray(header(page_size=page_size, minor=minor, features=features))
        self.sequence = 0
        self.records = bytearray()
        # What was written. Node parents count from 0 over all resets, -1 for node 0, as in records.Trace
        self.processes: list[tuple[int, int, int]] = []
        self.threads: list[tuple[int, int, int, str]] = []
        self.nodes: list[tuple[int, int, int, int]] = []  # parent, process, code, offset
        self.sites: list[tuple[int, int]] = []
        self.modules: list[tuple[int, int, int, int, str]] = []
        self.samples: list[tuple[int, int, int, int, int, int]] = []
        self.cgroups: list[tuple[int, int, int | None]] = []
        self.rounds: list[int] = []
        self.faults: list[tuple[int, int, int, int, int, int, int, bool, bool, int, bool, int | None]] = []
        self._states: list[_ThreadState] = []
        self._last_sample: dict[int, tuple[int, ...]] = {}
        self._base = 0
        self._batch = -1

    def raw(self, record: bytes) -> None:
        """Appends whole records; those of one call stay in one block."""
        if len(self.records) + len(record) > self.block_size:
            self.flush()
        self.records += record

    def flush(self) -> None:
        """Ends the block."""
        if self.records:
            self.file += block(self.sequence, bytes(self.records))
            self.sequence += 1
            self.records.clear()

    def finish(self, time: int | None = None) -> bytes:
        """The file; with a time, closed by a TRAILER."""
        if time is not None:
            self.raw(trailer(time))
        self.flush()
        return bytes(self.file)

    def process(self, pid: int, parent: int = 0, time: int = 0) -> int:
        self.raw(process(pid, parent, time))
        self.processes.append((pid, parent, time))
        return len(self.processes) - 1

    def thread(self, process: int, tid: int, time: int = 0, name: str = "") -> int:
        self.raw(thread(process, tid, time, name))
        self.threads.append((process, tid, time, name))
        self._states.append(_ThreadState(time))
        return len(self.threads) - 1

    def module(self, process: int, start: int, size: int, offset: int, path: str) -> int:
        self.raw(module(process, start, size, offset, path))
        self.modules.append((process, start, size, offset, path))
        return len(self.modules)

    def round(self, time: int) -> None:
        self.raw(round_(time - (self.rounds[-1] if self.rounds else 0)))
        self.rounds.append(time)

    def batch(self, thread: int) -> None:
        self.raw(batch(thread))
        self._batch = thread

    def root(self, process: int) -> int:
        return self._node(-1, process, 0, process)

    def node(self, parent: int, code: int, offset: int) -> int:
        """`parent` is an index node() or root() returned since the last reset."""
        return self._node(parent - 1, self.nodes[parent - 1][1], code, offset)

    def _node(self, parent: int, process: int, code: int, offset: int) -> int:
        number = len(self.nodes) + 1
        self.raw(node(number - max(parent + 1, self._base), code, offset))
        self.nodes.append((parent, process, code, offset))
        return number

    def node_reset(self) -> None:
        self.raw(node_reset())
        self._base = len(self.nodes)
        for state in self._states:
            state.node = 0

    def site(self, address: int, module: int = 0) -> int:
        self.raw(site(address - (self.sites[-1][0] if self.sites else 0), module))
        self.sites.append((address, module))
        return len(self.sites)

    def sample(self, process: int, time: int, anon: int, file: int = 0, shmem: int = 0, swap: int = 0) -> None:
        """Sizes in KiB."""
        last = self._last_sample.get(process, (self.processes[process][2], 0, 0, 0, 0))
        now = (time, anon, file, shmem, swap)
        self.raw(sample(process, *(new - old for new, old in zip(now, last, strict=True))))
        self._last_sample[process] = now
        self.samples.append((process, time, anon, file, shmem, swap))

    def cgroup(self, time: int, usage: int, limit: int | None) -> None:
        """Sizes in KiB."""
        last = self.cgroups[-1] if self.cgroups else (0, 0)
        self.raw(cgroup(time - last[0], usage - last[1], 0 if limit is None else limit + 1))
        self.cgroups.append((time, usage, limit))

    def weight(self, value: int) -> None:
        self.raw(weight(value))
        self._states[self._batch].weight = value

    def fault(
        self,
        time: int,
        address: int,
        rise: int,
        node: int,
        site: int = 0,
        *,
        by_time: bool = False,
        late: bool = False,
        short: int = COMPACT,
        more: int | None = None,
        caller: int = 0,
        tick: bool = False,
        rss: int | None = None,
        fell_to: int | None = None,
    ) -> None:
        """A FAULT of the batch's thread. `short`: fields that may be left out; `more`: a byte of further flags."""
        state = self._states[self._batch]
        if late:
            more = (more or 0) | 1
        if caller:
            more = (more or 0) | 2
        if tick:
            more = (more or 0) | 4
        if rss is not None:
            more = (more or 0) | 8
        if fell_to is not None:
            more = (more or 0) | 16
        self.raw(
            fault(
                time - state.time,
                address - state.address,
                None if rise == 1 and short & ONE else rise,
                None if node == state.node and short & SAME_NODE else node - self._base,
                None if site == state.site and short & SAME_SITE else site,
                by_time=by_time,
                more=more,
                caller=caller or None,
                rss=None if rss is None else rss - state.rss,
                fell_to=fell_to,
            )
        )
        state.rss = state.rss if rss is None else rss
        state.time, state.address, state.node, state.site = time, address, node, site
        self.faults.append(
            (time, self._batch, address, rise, node - 1, site, state.weight, by_time, late, caller, tick, rss, fell_to)
        )

    def events(self, thread: int, items: list[tuple[int, int, int]]) -> None:
        """An EVENTS record of (time in ns, kind, value): values as in records.Event, all of them absolute."""
        state = self._states[thread]
        kinds, times, values = bytearray(), bytearray(), bytearray()
        for time, kind, value in items:
            kinds.append(kind)
            times += u(time // 8 - state.event_time)
            state.event_time = time // 8
            if kind in (1, 4, 5, 7, 12):
                values += u(value)
                state.lines.append(0)
            elif kind in (2, 3, 6, 8, 9):
                values += u(value) if kind == 6 else b""
                state.lines.pop()
            elif kind == 10:
                values += s(value - state.lines[-1])
                state.lines[-1] = value
            elif kind == 11:
                values += s(value - state.rss)
                state.rss = value
            else:
                values += u(value)
                del state.lines[-value:]
        self.raw(events(thread, bytes(kinds), bytes(times), bytes(values)))

    def note(self, thread: int, time: int, what: int, number: int, message: str) -> None:
        self.raw(note(thread, time, what, number, message))


NAMES = (
    "main",
    "größe",
    "<lambda>",
    "A.f.<locals>.g",
    "\udc80\udcff.py",
    "nul\0inside",
    "日本語",
    "\U0001f40d",
    "\ud800",
    "",
)


def small_trace() -> bytes:
    """A clean trace of three blocks with every kind of record in a few hundred bytes."""
    w = Writer(block_size=1 << 16)
    w.raw(meta(0, "command", "python\0app.py") + meta(0, "python", "3.12.1"))
    p = w.process(100, 1, 10)
    t = w.thread(p, 100, 20, "main")
    w.raw(mark(p, 25, 1, 300) + period(p, 26, 1) + meta(p + 1, "engine", "faults"))
    m = w.module(p, 0x7F00_0000_0000, 0x10000, 0x1000, "/lib/libc.so.6")
    w.raw(code(p, 1, 10, "app.py", "größe") + code_lines(p, 1, line_run(2, 0) + line_run(3, 1)))
    w.round(100)
    w.batch(t)
    root = w.root(p)
    outer = w.node(root, 1, 2)
    inner = w.node(outer, 2, 6)
    s1 = w.site(0x7F00_0000_1234, m)
    w.fault(150, 0x1000_0000, 1, inner, s1)
    w.fault(180, 0x1000_1000, 16, inner, s1, by_time=True)
    w.flush()
    w.sample(p, 190, 1200, 300, 10, 0)
    w.cgroup(195, 5000, 9000)
    w.raw(b"\0\0" + cold(0x7E, b"later") + period(p, 196, 4) + lost(t, 197, 2) + thread_name(t, "Main"))
    w.round(200)
    child = w.process(101, 100, 205)
    t2 = w.thread(child, 101, 206, "child")
    w.batch(t2)
    w.weight(4)
    w.fault(230, 0x2000_0000, 3, w.root(child), w.site(0x1234))
    w.node_reset()
    w.batch(t)
    w.fault(240, 0x1000_2000, 2, w.node(w.root(p), 1, 0), 0, late=True)
    w.flush()
    w.raw(code(p, 2, 30, "lib.py", "f") + code_lines(p, 2, line_run(8, 4)))
    w.raw(counter(p, "unowned_pages", 7) + counter(p, "tracer_pages", 5) + counter(child, "tracer_pages", 2))
    w.raw(mark(p, 250, 2, 330) + process_end(child, 1, 9, 255) + process_end(p, 0, 3, 260))
    w.raw(left_out(245, 6, 8, 28))
    return w.finish(270)


def deep_trace(depth: int = 20_000) -> bytes:
    """One stack of recursion between two functions, with faults at its bottom, in its middle and at its root."""
    w = Writer()
    p = w.process(1)
    w.batch(w.thread(p, 1, 0, "deep"))
    for ident, name in ((1, "even"), (2, "odd")):
        w.raw(code(p, ident, ident * 10, "deep.py", name) + code_lines(p, ident, line_run(4, 1)))
    root = w.root(p)
    stack = [root]
    for level in range(depth):
        stack.append(w.node(stack[-1], level % 2 + 1, 2))
    w.fault(10, 0x1000, 8, stack[-1])
    w.fault(20, 0x2000, 1, stack[depth // 2])
    w.fault(30, 0x3000, 1, root)
    w.node_reset()
    left_out = w.node(w.root(p), LEFT_OUT, depth - 1)
    w.fault(40, 0x4000, 2, w.node(left_out, 1, 2))
    return w.finish(50)


def random_trace(seed: int, rounds: int = 12, faults: int = 25) -> Writer:
    """A well-formed trace with everything in it, in an order a recorder could have written. The caller finishes it."""
    rng = random.Random(seed)
    w = Writer(block_size=rng.choice((60, 500, 4_000, 1 << 20)), page_size=rng.choice((4096, 16384)))
    time = 0
    late_codes: list[bytes] = []
    codes: dict[int, list[int]] = {}
    threads: list[int] = []
    modules: dict[int, list[int]] = {}
    stacks: dict[int, list[int]] = {}  # the live nodes of each process, its root first

    def new_process() -> None:
        # Each process's records have to fit a block of 60 bytes: one raw() a record
        index = w.process(1000 + len(w.processes), 1000 if w.processes else 1, time)
        w.raw(meta(index + 1, "engine", "faults"))
        w.raw(period(index, time, 1))
        w.raw(mark(index, time, 1, rng.randrange(10_000)))
        codes[index], modules[index] = [], []
        for ident in rng.sample(range(1, 500), 8):
            codes[index].append(ident)
            first = rng.choice((1, 7, 300))
            record = code(index, ident, first, rng.choice(("a.py", "b.py", "ü.py")), rng.choice(NAMES))
            table, _ = random_linetable(rng, first, rng.randrange(9))
            cut = rng.randint(0, len(table))
            pieces = [code_lines(index, ident, table[:cut]), code_lines(index, ident, table[cut:])]
            fate = rng.randrange(5)
            if fate == 0:
                late_codes.extend([record, *pieces])
            elif fate != 1:  # 1: missing for ever
                for piece in (record, *pieces):
                    w.raw(piece)
        for _ in range(rng.randrange(3)):
            start = rng.randrange(1 << 35) << 12
            modules[index].append(
                w.module(index, start, 1 << 20, rng.randrange(4) << 12, rng.choice(("/a.so", "/b.so")))
            )
        for _ in range(rng.randint(1, 3)):
            threads.append(w.thread(index, 5000 + len(threads), time + rng.randrange(9), rng.choice(NAMES)))
        w.batch(threads[-1])
        stacks[index] = [w.root(index)]

    new_process()
    for _ in range(rounds):
        time += rng.randrange(10, 100_000)
        if rng.randrange(5) == 0:
            new_process()
        if rng.randrange(5) == 0:
            w.node_reset()
            stacks.clear()
        w.round(time)
        for noise in (b"\0" * rng.randrange(3), cold(rng.randrange(0x60, 0x100), bytes(rng.randrange(9)))):
            w.raw(noise)
        for index in rng.sample(range(len(w.processes)), 1):
            w.sample(index, time, *(rng.randrange(1 << 20) for _ in range(4)))
        w.cgroup(time, rng.randrange(1 << 22), rng.choice((None, 1 << 21)))
        for number in rng.sample(threads, min(2, len(threads))):
            owner, start = w.threads[number][0], w.threads[number][2]
            w.batch(number)
            clock = max(time, start)
            if rng.randrange(4) == 0:
                w.raw(lost(number, clock, rng.randrange(1, 50)))
            if rng.randrange(3) == 0:
                w.weight(rng.choice((1, 2, 16, 1_000)))
                w.raw(period(owner, clock, rng.choice((1, 2, 16, 1_000))))
            nodes = stacks.setdefault(owner, [])
            if not nodes:
                nodes.append(w.root(owner))
            for _ in range(rng.randrange(faults)):
                if rng.randrange(3) == 0:
                    ident = rng.choice([*codes[owner], *codes[owner], LEFT_OUT])
                    nodes.append(w.node(rng.choice(nodes[-6:]), ident, rng.randrange(0, 120, 2)))
                if rng.randrange(4) == 0 or not w.sites:
                    known = rng.choice([0, *modules[owner]])
                    base = w.modules[known - 1][1] if known else rng.randrange(1 << 64)
                    w.site(min(base + rng.randrange(1 << 10), U64), known)
                w.fault(
                    clock + rng.randrange(5_000),
                    rng.choice((rng.randrange(1 << 64), rng.randrange(1 << 20) << 12)),
                    rng.choice((0, 1, 1, 1, 2, 512, 70_000)),
                    rng.choice((nodes[-1], nodes[-1], rng.choice(nodes))),
                    rng.choice((0, len(w.sites), rng.randint(0, len(w.sites)))),
                    by_time=rng.randrange(4) == 0,
                    late=rng.randrange(9) == 0,
                    short=rng.choice((COMPACT, COMPACT, rng.randrange(8))),
                    more=rng.choice((None, None, None, 0, 0x80)),
                    caller=rng.choice((0, 0, len(w.sites))),
                    tick=rng.randrange(7) == 0,
                    fell_to=rng.choice((None, None, rng.randrange(90_000))),
                )
    for record in late_codes:
        w.raw(record)
    for index in range(len(w.processes)):
        for name, most in (("tracer_pages", 300), ("unowned_pages", 90), ("rss_peak_pages", 90_000)):
            if rng.randrange(4):
                w.raw(counter(index, name, rng.randrange(most)))
        if rng.randrange(2):
            times = time // 3, time // 3 + rng.randrange(time // 3 + 1)
            for name, value in zip(("kib", "since_ns", "ns"), (rng.randrange(400_000), *times), strict=True):
                w.raw(counter(index, f"rss_hwm_{name}", value))
        if rng.randrange(4):
            w.raw(mark(index, time + 200_000, 2, rng.randrange(10_000)))
            w.raw(process_end(index, rng.randrange(3), rng.randrange(128), time + 200_000))
    if rng.randrange(4) == 0:
        w.raw(left_out(time, rng.randrange(1 << 20), rng.randrange(1 << 20), rng.choice((0, 28))))
    return w


@dataclass
class _Running:
    """A thread of event_trace: which frames are open, True: Python's."""

    thread: int
    clock: int
    frames: list[bool] = field(default_factory=list)


def _next_event(rng: random.Random, running: _Running, codes: list[int], lines: bool, now: int) -> tuple[int, int]:
    """A kind and its value that may follow. `now`: RSS."""
    frames = running.frames
    if rng.randrange(6) == 0:
        return 11, now
    if len(frames) < 2 or rng.random() < 0.45:
        kind = rng.choice((1, 1, 1, 4, 5, 7, 7, 12))
        if not frames or frames[-1] or rng.randrange(3) == 0:
            frames.append(kind != 7)
            return kind, rng.choice(codes)
    if lines and frames[-1] and rng.randrange(3):
        return 10, rng.choice((1, 7, rng.randrange(40), rng.randrange(1 << 28)))
    if rng.randrange(15) == 0:
        count = rng.randint(1, len(frames))
        del frames[-count:]
        return 13, count
    python = frames.pop()
    kind = rng.choice((2, 2, 3, 6)) if python else rng.choice((8, 8, 9))
    return kind, rng.choice((0, *codes)) if kind == 6 else 0


def event_trace(seed: int, rounds: int = 6, events: int = 30, lines: bool | None = None) -> Writer:
    """Threads of one or more processes that call, fault and note; RSS goes up and down. The caller finishes it."""
    rng = random.Random(seed)
    lines = rng.random() < 0.5 if lines is None else lines
    w = Writer(block_size=rng.choice((300, 4_000, 1 << 20)), page_size=rng.choice((4096, 16384)))
    codes: dict[int, list[int]] = {}
    running: list[_Running] = []
    rss: list[int] = []
    late: list[bytes] = []
    time = 50
    for round_number in range(rounds):
        if round_number == 0 or rng.randrange(5) == 0:
            process = w.process(1000 + len(rss), 1, time)
            w.raw(meta(process + 1, "events", "lines" if lines else "calls"))
            rss.append(rng.randrange(1_000, 2_000))
            if rng.randrange(5):
                w.raw(mark(process, time, 1, rss[-1]))
            codes[process] = [0, *rng.sample(range(1, 100), 6)]
            for ident in codes[process][1:-1]:  # the last stays undefined
                file, first = rng.choice((("a.py", 10), ("b.py", 3), ("<builtins>", 0)))
                record = code(process, ident, first, file, rng.choice(NAMES[:6]))
                if rng.randrange(4):
                    w.raw(record)
                else:
                    late.append(record)
                w.raw(code_lines(process, ident, line_run(20, rng.randrange(9))))
            for _ in range(rng.randint(1, 3)):
                running.append(_Running(w.thread(process, 70 + len(running), time, rng.choice(NAMES)), time))
        w.round(time)
        for state in rng.sample(running, rng.randint(1, len(running))):
            owner = w.threads[state.thread][0]
            state.clock = max(state.clock, time + 8)
            batch: list[tuple[int, int, int]] = []
            w.batch(state.thread)
            for _ in range(rng.randrange(events)):
                state.clock += rng.choice((0, 3, 8, 100, 5_000))
                rss[owner] += rng.choice((0, 0, 1, 3, -2))
                what = rng.randrange(12)
                if what > 1:
                    batch.append((state.clock, *_next_event(rng, state, codes[owner], lines, rss[owner])))
                    continue
                if batch:
                    w.events(state.thread, batch)
                    batch = []
                if what == 0:
                    w.note(state.thread, state.clock, rng.randint(1, 6), rng.randrange(3), rng.choice(NAMES))
                else:
                    node = w.node(w.root(owner), rng.choice((*codes[owner][1:], LEFT_OUT)), rng.randrange(0, 60, 2))
                    w.fault(
                        state.clock + rng.randrange(9) - 4,
                        0x1000,
                        rng.randrange(4),
                        rng.choice((node, node, node - 1)),
                        rss=rng.choice((None, rss[owner], rss[owner])),
                        tick=rng.randrange(6) == 0,
                    )
            if batch:
                w.events(state.thread, batch)
        time += 20_000
    for record in late:
        w.raw(record)
    for _ in range(rng.choice((0, 0, 5))):
        process = rng.randrange(len(rss))
        w.raw(
            summary(process, rng.choice(codes[process]), tuple(rng.randrange(99) for _ in range(9)), rng.randrange(50))
        )
    for process in range(len(rss)):
        if rng.randrange(4):
            w.raw(mark(process, time + rng.randrange(9), 2, rng.randrange(1, 2_000)))
    return w
