"""Two independent sources beside the C analysis: the oracle, which recomputes the owner of each page from
the raw fault log, moves and snapshots; and what the program itself read in its /proc/self/pagemap at the end."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from accuracy.resident import Resident
from integration.harness import PAGE
from oracle import pmt
from oracle.credits import Owner
from oracle.frames import Frame, frame_of
from oracle.records import Trace
from oracle.residency import BEFORE, BY_TIME, EXACT, FILE, FILL, KERNEL, SHARED, TRACER, History, history
from oracle.residency_records import Snapshot
from pymemtrace import _analysis

MOMENTS = 20


@functools.lru_cache(2)
def recomputed(path: Path) -> tuple[Trace, History]:
    trace = pmt.decode(path)
    return trace, history(trace)


Stack = tuple[Frame, ...]  # outermost first


@dataclasses.dataclass
class Books:
    """Bytes of a process at a moment. Each Counter holds what is not 0."""

    kinds: Counter[str]
    stacks: Counter[Stack]
    native: Counter[tuple[str, int]]  # of the stacks without a Python frame
    threads: Counter[int]
    found: Counter[
        tuple[object, str]
    ]  # of each innermost frame, place in native code and thread: how its bytes were found

    def find(self, owner: object, size: int, by_time: int, fill: int) -> None:
        """Add what the analysis says of an owner."""
        for how, part in (EXACT, size - by_time - fill), (FILL, fill), (BY_TIME, by_time):
            if part:
                self.found[owner, how] += part


def stack_of(trace: Trace, node: int) -> Stack:
    frames: list[Frame] = []
    while node >= 0:
        frame = frame_of(trace, trace.nodes[node])
        frames += [frame] if frame else []
        node = trace.nodes[node].parent
    return tuple(reversed(frames))


def of_oracle(trace: Trace, found: History, time: int) -> Books:
    books = Books(Counter(), Counter(), Counter(), Counter(), Counter())
    for (owner, how), pages in found.at(time).items():
        size = pages * trace.page_size
        books.kinds[how if isinstance(owner, Owner) else owner] += size
        if isinstance(owner, Owner):
            stack, tid = stack_of(trace, owner.node), trace.threads[owner.thread].tid
            books.stacks[stack] += size
            books.threads[tid] += size
            for one in tid, stack[-1] if stack else owner.native:
                books.found[one, how] += size
            if owner.native is not None:
                books.native[owner.native] += size
    return books


def of_analysis(result: _analysis.Result) -> Books:
    """The root process's; its rows must be the only ones."""
    assert result["held"]
    _, before, file, shared, kernel, tracer, exact, fill, by_time = result["held"][0]
    kinds = {BEFORE: before, FILE: file, SHARED: shared, KERNEL: kernel, TRACER: tracer}
    books = Books(
        Counter(kinds | {EXACT: exact, FILL: fill, BY_TIME: by_time}), Counter(), Counter(), Counter(), Counter()
    )
    stacks: list[Stack] = []
    for parent, frame, own, *_ in result["tree"]:
        stacks.append((*stacks[parent], Frame(*result["frames"][frame])) if frame >= 0 else ())
        books.stacks[stacks[-1]] += own
    for frame, own, _, _, *how in result["lines"]:
        books.find(Frame(*result["frames"][frame]), own, *how)
    for path, offset, size, _, *how in result["native"]:
        books.native[path, offset] += size
        books.find((path, offset), size, *how)
    for _, tid, _, size, _, *how in result["threads"]:
        books.threads[tid] += size
        books.find(tid, size, *how)
    return books


def moments(path: Path, pid: int) -> Iterator[_analysis.Result]:
    """The peak, the end, and many in between."""
    for at in ("peak",), ("end",):
        yield (result := _analysis.analyze(str(path), pid, at))
    for step in range(MOMENTS):
        yield _analysis.analyze(str(path), pid, ("time", result["duration_ns"] * step // MOMENTS))


def check_owners(run: Resident) -> None:
    """Exactly, stack by stack and thread by thread: how they were found, and what has none."""
    trace, found = recomputed(run.path)
    for result in moments(run.path, trace.processes[0].pid):
        assert result["at_ns"] is not None
        mine, theirs = of_oracle(trace, found, result["at_ns"]), of_analysis(result)
        for name in "kinds", "stacks", "native", "threads", "found":
            ours, others = getattr(mine, name), getattr(theirs, name)
            differences = {key: (ours[key], others[key]) for key in ours | others if ours[key] != others[key]}
            assert not differences, f"{name} at {result['at_ns']} ns (oracle, analysis): {differences}"


def check_history(run: Resident) -> None:
    """Its steps add up to what each moment alone says, and what was touched to the rises in the raw log."""
    trace, _ = recomputed(run.path)
    pid = trace.processes[0].pid
    times = [trace.duration * step // MOMENTS for step in range(MOMENTS + 1)]
    found = _analysis.history(str(run.path), pid, times)
    stacks: list[Stack] = []
    for parent, frame in found["tree"]:
        stacks.append((*stacks[parent], Frame(*found["frames"][frame])) if frame >= 0 else ())
    owners = [owner and (stacks[owner[0]], found["threads"][owner[1]][1]) for owner in found["owners"]]
    columns = (array("q", found[name]) for name in ("owner", "moment", "resident", "touched"))  # type: ignore[literal-required]
    steps = list(zip(*columns, strict=True))
    held: Counter[Stack] = Counter()
    touched: Counter[tuple[Stack, int]] = Counter()
    for moment, time in enumerate(times):
        for owner, _, resident, touches in (step for step in steps if step[1] == moment):
            stack, tid = owners[owner] or pytest.fail("an owner without a stack")
            held[stack] += resident
            touched[stack, tid] += touches
        if moment % 5 == 0:
            alone = of_analysis(_analysis.analyze(str(run.path), pid, ("time", time)))
            assert +held == +alone.stacks, time
    raw: Counter[tuple[Stack, int]] = Counter()
    for fault in trace.faults:
        thread = trace.threads[fault.thread]
        if thread.process == 0 and fault.time <= times[-1]:
            raw[stack_of(trace, fault.node), thread.tid] += fault.rise * trace.page_size
    assert +touched == +raw


def check_snapshots(run: Resident) -> None:
    """They do not overlap, and the last, from outside, is what the program read itself."""
    trace, _ = recomputed(run.path)
    mine = [snapshot for snapshot in trace.snapshots if snapshot.process == 0]
    for one, next_one in itertools.pairwise(mine):
        assert one.end is not None
        assert one.end <= next_one.time
    [last] = [snapshot for snapshot in mine if snapshot.kind == 4]
    assert last.end is not None
    if last.error == 0:  # else the machine was too busy to look at all of it in time
        seen = set(pages_of(last))
        assert len(present(run) - seen) <= 8, "the program's memory that the recorder did not see"
        assert len(seen) * PAGE == pytest.approx(run.truth["rollup_end"], rel=0.02)


def check_pages(run: Resident) -> None:
    """Of what the program found of its own memory, as its last act, no page is missing at the oracle."""
    _, found = recomputed(run.path)
    mine = present(run)
    owned = {page for page, life in found.pages.items() if isinstance(life.owner, Owner)}
    missing = mine - owned
    assert len(missing) <= 0.01 * len(mine) + 8, f"{len(missing)} of {len(mine)} pages have no owner"


def present(run: Resident) -> set[int]:
    return {page for first, pages in run.truth["pages"] for page in range(first, first + pages)}


def pages_of(snapshot: Snapshot) -> list[int]:
    pages: list[int] = []
    for piece in snapshot.residents:
        page = piece.first
        for count, state in piece.runs:
            if state in (1, 2, 3):
                pages += range(page, page + count)
            page += count
    return pages
