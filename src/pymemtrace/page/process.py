"""One process of a page."""

from array import array
from bisect import bisect_left, bisect_right
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pymemtrace.page.moments import end_of
from pymemtrace.page.tree import Tree, largest
from pymemtrace.report import facts, held, load
from pymemtrace.report.text import clip

if TYPE_CHECKING:
    from pymemtrace._analysis import CallTree, Held, History, LineRows
    from pymemtrace.page.frames import Frames
    from pymemtrace.tracefile import TraceFile

_PARTS = ("before_start", "file", "shared", "kernel", "tracer")
_TEXT_LIMIT = 1000
_NODES = 20_000  # of a process's trees: what has least is its caller's
_NODES_LEAST = 64  # fewer do not make a page smaller that anybody wants
_SHARES = 1 << 40  # a whole, for weights of different quantities


class Steps:
    """The steps of a history, by process, in the order of moments: (owner, moment, resident, touched)."""

    def __init__(self, found: "History") -> None:
        self.history = found
        self.of: dict[int, list[tuple[int, int, int, int]]] = {}
        process_of = [found["threads"][owner[1]][0] if owner else -1 for owner in found["owners"]]
        columns = (array("q", found[name]) for name in ("owner", "moment", "resident", "touched"))
        for step in zip(*columns, strict=True):
            self.of.setdefault(process_of[step[0]], []).append(step)


def process_object(
    trace: "TraceFile", number: int, times: list[int], steps: Steps, frames: "Frames", logged: bool, room: int
) -> dict[str, Any]:
    """What web/src/data.ts calls a RawProcess. logged: with what the event log says of calls and lines.

    room: for so many changes; of more those of the smallest nodes become their callers'.
    """
    result, row = trace.result, trace.processes[number]
    process = result["processes"][number]
    first = min(bisect_left(times, process["start_ns"]) if number else 0, len(times) - 1)
    last = max(bisect_right(times, end_of(result, number)), first + 1)
    mine = times[first:last]
    books = [moment[number] for moment in steps.history["held"][first:last]]
    cgroup = steps.history["cgroup"][first:last]
    rss = [each[0] for each in books]
    owners, notes = _resident(steps, number, first, len(mine), frames, room)
    calls = lines = None
    if logged:
        # The analysis of either takes seconds, and no lock.
        with ThreadPoolExecutor(1) as beside:
            rows = beside.submit(load.line_rows, trace.path, row.pid)
            calls, left_out = _calls(load.call_tree(trace.path, row.pid), frames)
            lines = _lines(rows.result(), frames)
        notes += left_out
    elif row.counters.get("events"):
        notes.append(f"`pymemtrace calls --pid {row.pid}` has its {row.counters['events']:,} events, this page has not")
    peak = _peak(mine, rss, process["rss_peak_ns"])
    unknown = held.not_known(result, number, mine[peak]) if row.traced else "not traced: only its memory was sampled"
    command = clip(" ".join(row.command), _TEXT_LIMIT)
    return {
        "pid": row.pid,
        "name": clip((row.command[0] if row.command else "").rpartition("/")[2] or f"process {row.pid}", 80),
        "command": command,
        "traced": row.traced,
        "engine": clip(facts.engine_text(*_engine(row)), _TEXT_LIMIT),
        "end": facts.end_text(row.end.kind, row.end.value),
        "note": "; ".join([*([unknown] if unknown else []), *notes]) or None,
        "times": [time / 1e9 for time in mine],
        "rss": rss,
        "parts": {**_parts(books), "unexplained": [_unexplained(each) for each in books]},
        "limit": [_bytes(limit) for _usage, limit in cgroup],
        "usage": [_bytes(usage) for usage, _limit in cgroup],
        "peak": peak,
        **owners,
        "marks": _marks(trace, number),
        "snapshots": _snapshots(trace, number),
        "calls": calls,
        "lines": lines,
    }


def _engine(row: Any) -> tuple[str, str | None, int, int]:
    return row.engine.name, row.engine.reason, row.engine.period, row.engine.period_changes


def _peak(times: list[int], rss: list[int | None], known_ns: int) -> int:
    """The moment of the peak that is known; of one that is not among them the first of the highest."""
    moment = bisect_left(times, known_ns)
    if moment < len(times) and times[moment] == known_ns:
        return moment
    return max(range(len(times)), key=lambda each: (rss[each] or 0, -each))


def _parts(books: "list[Held]") -> dict[str, list[int]]:
    return {
        name: list(column)
        for name, column in zip(_PARTS, zip(*(each[1:6] for each in books), strict=True), strict=True)
    }


def _unexplained(books: "Held") -> int:
    return 0 if books[0] is None else books[0] - sum(books[1:])


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * 1024


def _snapshots(trace: "TraceFile", number: int) -> list[tuple[float, str, str]]:
    return [
        ((time if end is None else end) / 1e9, clip(name, 80), facts.SNAPSHOT_KINDS.get(kind, ""))
        for process, kind, time, end, _error, name in trace.result["snapshots"]
        if process == number
    ]


def _marks(trace: "TraceFile", number: int) -> list[tuple[float, str]]:
    return sorted((time / 1e9, clip(text, 80)) for process, time, text in trace.result["marks"] if process == number)


def _resident(
    steps: Steps, number: int, first: int, count: int, frames: "Frames", room: int
) -> tuple[dict[str, Any], list[str]]:
    """Threads, the call tree, and who held and touched what in each step; what is to be said of it."""
    found, mine = steps.history, steps.of.get(number, [])
    weights = [(found["owners"][step[0]][0], step[3]) for step in mine]  # type: ignore[index]
    threads = [index for index, thread in enumerate(found["threads"]) if thread[0] == number]
    owners = {node for node, _weight in weights}
    nodes = _NODES
    while True:
        kept = largest(found["tree"], weights, nodes)
        tree = Tree(found["tree"], lambda frame: _frame(found, frame, frames), kept)
        changes = _changes(found, mine, range(first, first + count), tree, frames, threads)
        if len(changes) <= room or nodes < _NODES_LEAST:
            break
        nodes = min(nodes, len(owners)) * room // len(changes)
    few = [] if kept is None else [_left_out(len(owners - kept - {0}), len(owners), "places in the call tree")]
    columns = zip(*changes, strict=True) if changes else ([] for _ in range(5))
    moments, at_nodes, at_threads, resident, touched = map(list, columns)
    made = {
        "threads": [(found["threads"][index][1], clip(found["threads"][index][2], 80)) for index in threads],
        "parent": tree.parent,
        "frame": tree.frame,
        "changes": {
            "node": at_nodes,
            "thread": at_threads,
            "moment": moments,
            "resident": resident,
            "touched": touched,
        },
    }
    return made, few


def _changes(
    found: "History",
    steps: list[tuple[int, int, int, int]],
    moments: range,
    tree: Tree,
    frames: "Frames",
    threads: list[int],
) -> list[tuple[int, ...]]:
    """(moment, node of the tree, thread, resident, touched), each where something changed; the tree gets the nodes."""
    native: dict[int, int] = {}
    thread_of = {index: place for place, index in enumerate(threads)}
    sums: dict[tuple[int, int, int], list[int]] = {}
    for owner, moment, resident, touched in steps:
        node, thread, place = found["owners"][owner]  # type: ignore[misc]
        if place >= 0 and node == 0:
            if place not in native:
                native[place] = tree.add(0, frames.native(*found["places"][place]))
            here = native[place]
        else:
            here = tree.node(node)
        if moment < moments.stop:
            at = sums.setdefault((max(moment - moments.start, 0), here, thread_of[thread]), [0, 0])
            at[0] += resident
            at[1] += touched
    return [(*key, *values) for key, values in sorted(sums.items()) if any(values)]


def _frame(found: "History", number: int, frames: "Frames") -> int:
    file, line, function, _first = found["frames"][number]
    return frames.number(file, line, function)


def _left_out(count: int, whole: int, what: str) -> str:
    return f"{count:,} of {whole:,} {what} that have least are shown as their callers'"


def _calls(found: "CallTree", frames: "Frames") -> tuple[dict[str, Any], list[str]]:
    """The exact call tree; of a very large one the nodes with the most time and the largest changes."""
    nodes = found["nodes"]
    edges = [(node[0], index) for index, node in enumerate(nodes)]
    whole_time, whole_change = max(nodes[0][5], 1), max(nodes[0][6] + nodes[0][7], 1)
    weights = [
        (index, node[5] * _SHARES // whole_time + (node[6] + node[7]) * _SHARES // whole_change)
        for index, node in enumerate(nodes)
    ]
    kept = largest(edges, weights, _NODES)
    chosen = [0, *sorted(kept)] if kept is not None else list(range(len(nodes)))
    tree = Tree(edges, lambda index: frames.number(nodes[index][1], nodes[index][2], nodes[index][3]))
    for index in chosen:
        tree.node(index)
    names = ("count", "time_ns", "growth", "release")
    columns = {name: [nodes[index][4 + place] for index in chosen] for place, name in enumerate(names)}
    few = [] if kept is None else [_left_out(len(nodes) - len(chosen), len(nodes), "nodes of the event log")]
    return {"parent": tree.parent, "frame": tree.frame, **columns}, few


def _lines(found: "LineRows", frames: "Frames") -> dict[str, list[tuple[int, int, int, int, int]]]:
    rows: dict[str, list[tuple[int, int, int, int, int]]] = {}
    for file, line, hits, time_ns, growth, release, _largest in found["lines"]:
        rows.setdefault(frames.file(file), []).append((line, hits, time_ns, growth, release))
    return rows
