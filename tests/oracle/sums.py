"""A plain aggregation of what was touched: every stack is walked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from oracle.frames import Frame, frame_of, instruction
from oracle.records import Fault, Process, Trace

K = TypeVar("K")


@dataclass
class Cost:
    self: int = 0  # bytes, like total and by_time
    total: int = 0
    faults: int = 0
    by_time: int = 0
    fill: int = 0  # of what was touched none


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


def _kernels_peak(trace: Trace, process: Process, seen: int) -> int:
    """VmHWM, where it rose between two samples to more than was seen and than the CPUs keep to themselves; else 0."""
    counters, page = process.counters, trace.page_size
    high = counters.get("rss_hwm_kib", 0) * 1024
    between = counters.get("rss_hwm_ns", 0) > counters.get("rss_hwm_since_ns", 0)
    untold = 64 * int(trace.processes[0].meta.get("cpus", 1))
    return high if between and high // page - seen // page > untold else 0


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
        process.rss_peak_least = max(process.rss_peak_least, _kernels_peak(trace, own, process.rss_peak_least))
        process.rss_peak_most = process.rss_peak_least + process.touched
    return sums
