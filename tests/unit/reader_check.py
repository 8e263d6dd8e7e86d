"""Compares what the C reader and analysis make of a trace with what the oracle makes of it.

Where docs/format.md leaves a choice, the comparison is as wide as the choice; each such place says so.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from reader_child import Outcome

from oracle import pmt
from oracle.frames import Frame
from oracle.records import Trace
from oracle.sums import Cost, TreeNode, aggregate, summarize

K = TypeVar("K")


def costly(costs: Mapping[K, Cost]) -> dict[K, Cost]:
    """Without the rows in which everything is 0: to list them or not is free."""
    return {key: cost for key, cost in costs.items() if cost != Cost()}


def rows(listed: Iterable[tuple[Any, ...]], width: int) -> dict[Any, Cost]:
    """Rows of a key of `width` values, self, total, faults, by_time, fill."""
    costs = {row[0] if width == 1 else tuple(row[:width]): Cost(*row[width:]) for row in listed}
    assert len(costs) == len(list(listed)), "a key stands twice"
    return costly(costs)


def by_instruction(costs: Mapping[tuple[str, int], Cost]) -> dict[tuple[str, int], Cost]:
    """Without a module the meaning of the offset is free: such rows are joined."""
    joined: dict[tuple[str, int], Cost] = {}
    for (path, offset), cost in costs.items():
        own = joined.setdefault((path, offset if path else 0), Cost())
        own.self += cost.self
        own.total += cost.total
        own.faults += cost.faults
        own.by_time += cost.by_time
    return costly(joined)


def check_tree(result: dict[str, Any], frames: list[Frame], expected: list[TreeNode]) -> None:
    """Nodes without a frame (process roots, if listed) count as their parent; nodes without a fault are free."""
    tree = result["tree"]
    assert tree[0][1] == -1
    busy = [node[4] > 0 for node in tree]
    for index in range(len(tree) - 1, 0, -1):
        assert 0 <= tree[index][0] < index, "a parent stands behind its child"
        busy[tree[index][0]] |= busy[index]
    places = {(node.parent, node.frame): index for index, node in enumerate(expected)}
    place_of: list[int] = [0]
    found = [Cost() for _ in expected]
    for index, (parent, frame, own, total, faults) in enumerate(tree):
        place = place_of[parent] if index else 0
        if frame >= 0 and place >= 0:
            place = places.get((place, frames[frame]), -1)
            assert place >= 0 or not busy[index], f"unknown tree node {frames[frame]}"
            assert place < 0 or found[place] == Cost(), "a frame stands twice below one parent"
        if index:
            place_of.append(place)
        if place >= 0:
            found[place].self += own
            found[place].faults += faults
            if frame >= 0 or index == 0:
                found[place].total = total
    assert found == [Cost(node.cost.self, node.cost.total, node.cost.faults) for node in expected]


def check_processes(result: dict[str, Any], trace: Trace, pid: int | None) -> None:
    if pid is None:
        assert len(result["processes"]) == len(trace.processes)
    entries = [entry for entry in result["processes"] if pid in (None, entry["pid"])]
    chosen = [(p, s) for p, s in zip(trace.processes, summarize(trace), strict=True) if pid in (None, p.pid)]
    for entry, (process, own) in zip(entries, chosen, strict=True):
        assert (entry["pid"], entry["parent"], entry["start_ns"]) == (process.pid, process.parent, process.time)
        assert (entry["meta"], entry["counters"], entry["end"]) == (process.meta, process.counters, process.end)
        assert (entry["rss_start"], entry["rss_end"]) == (own.rss_start, own.rss_end)
        assert own.rss_peak_least <= entry["rss_peak"] <= own.rss_peak_most
        assert (entry["touched"], entry["faults"]) == (own.touched, own.faults)
        assert entry["period"] == max(own.periods, default=0)
        assert entry["period_changes"] == max(len(own.periods) - 1, 0)


def check(outcome: Outcome, data: bytes, pid: int | None = None, trace: Trace | None = None) -> None:
    """The result is the oracle's."""
    assert (outcome.kind, outcome.samples_kind) == ("ok", "ok"), outcome
    result = outcome.value
    trace = trace or pmt.decode(data)
    expected = aggregate(trace, pid)

    assert result["version"] == trace.version
    assert (result["page_size"], result["wall_ns"]) == (trace.page_size, trace.wall_ns)
    assert (result["complete"], result["good_bytes"]) == (trace.complete, trace.good_bytes)
    assert result["file_bytes"] == trace.file_bytes
    assert trace.stored_bytes <= result["fault_bytes"] <= trace.good_bytes  # with or without the block headers
    assert result["meta"] == trace.meta
    if trace.complete:  # of a cut file the duration is a guess
        assert result["duration_ns"] == trace.duration
    if pid is None:  # with a pid: the trace's or the process's
        assert result["signals"] == expected.signals
        limits = [cgroup.limit for cgroup in trace.cgroups]
        assert result["limit_kib"] == next((limit for limit in reversed(limits) if limit is not None), None)
        assert result["cgroup_peak_kib"] == max((cgroup.usage for cgroup in trace.cgroups), default=None)
        assert result["lost"] == expected.lost
        out = trace.left_out
        assert result["left_out"] == (
            out and (out.time, out.faults, out.pages * trace.page_size, out.error, out.events)
        )

    frames = [Frame(*frame) for frame in result["frames"]]
    assert len(set(frames)) == len(frames), "a frame stands twice"
    assert rows([(frames[line[0]], *line[1:]) for line in result["lines"]], 1) == costly(expected.lines)
    for table in ("lines", "functions", "files"):
        assert_sorted(result[table], {"lines": 1, "functions": 3, "files": 1}[table])
    assert rows(result["functions"], 3) == costly(expected.functions)
    assert rows(result["files"], 1) == costly(expected.files)

    threads = [
        (thread.process, thread.tid, thread.name, cost.total, cost.faults, cost.by_time, cost.fill)
        for thread, cost in ((trace.threads[index], cost) for index, cost in expected.threads.items())
    ]
    listed = result["threads"]
    if pid is not None:  # idle threads, of this process or others, may be listed or not
        threads, listed = [[t for t in some if any(t[3:])] for some in (threads, listed)]
    assert sorted(listed) == sorted(threads)

    native = [(path, offset, size, size, *costs) for path, offset, size, *costs in result["native"]]
    assert by_instruction(rows(native, 2)) == by_instruction(expected.native)
    sites = [(path, offset, size, size, faults, 0) for path, offset, size, faults in result["sites"]]
    for cost in expected.sites.values():
        cost.by_time = 0  # not in this table
    assert by_instruction(rows(sites, 2)) == by_instruction(expected.sites)

    check_tree(result, frames, expected.tree)
    totals = ("touched_total", "touched_kernel", "touched_tracer", "touched_by_time")
    assert {name: result[name] for name in totals} == {name: getattr(expected, name) for name in totals}
    check_processes(result, trace, pid)
    kib = 1024
    assert [tuple(sample.values()) for sample in outcome.samples] == [
        (s.process, s.time, s.anon * kib, s.file * kib, s.shmem * kib, s.swap * kib) for s in trace.samples
    ]


def assert_sorted(table: list[tuple[Any, ...]], column: int) -> None:
    sizes = [row[column] for row in table]
    assert sizes == sorted(sizes, reverse=True)
