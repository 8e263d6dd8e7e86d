"""The exact call tree of `pymemtrace tree` for traces with events. Nothing here recurses: trees may be very deep."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.report import eventlog, header
from pymemtrace.report.calls import signed
from pymemtrace.report.console import Bars
from pymemtrace.report.model import CallNode
from pymemtrace.report.text import Shortener, label, location
from pymemtrace.report.tree import INDENTED_LEVELS, TreeOptions
from pymemtrace.report.units import count, duration, size

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

_HEAD = f"{'calls':>12}  {'time':>10}  {'change':>11}  {'growth':>10}  "
_HEAD_REST = f"{'touched':>10}  call tree"


def select(nodes: list[CallNode], min_share: float, depth: int) -> list[CallNode]:
    """The nodes that have at least `min_share` of all time, growth or memory touched, down to `depth` levels (0: all).

    Each of these is at most that of the parent, so the parents of what is kept are kept.
    """
    root = nodes[0]
    levels: list[int] = []
    kept = []
    for node in nodes:
        level = 0 if node.parent is None else levels[node.parent] + 1
        levels.append(level)
        pairs = ((node.time_ns, root.time_ns), (node.growth, root.growth), (node.touched, root.touched))
        large = not min_share or any(whole and part >= min_share * whole for part, whole in pairs)
        if node.parent is None or (large and (not depth or level <= depth)):
            kept.append(node)
    return kept


def report(trace: "TraceFile", options: TreeOptions) -> list[RenderableType]:
    """Everything that `pymemtrace tree` prints of a trace with events, in order."""
    nodes = select(trace.call_tree, options.min_share, options.depth)
    shorten = header.shortener(trace, options.full_paths)
    parts: list[RenderableType] = [*eventlog.head(trace), *header.process_lines(trace), Text("")]
    room = " " * (options.bars.width + 2) if options.bars else ""
    parts.append(Text(_HEAD + room + _HEAD_REST, style="bold"))
    whole = trace.call_tree[0].growth
    parts += [_line(*shown, shorten, options.bars, whole) for shown in _walk(nodes)]
    hidden = len(trace.call_tree) - len(nodes)
    if hidden:
        parts += [Text(""), Text(f"{hidden:,} of {len(trace.call_tree):,} nodes are not shown", style="dim")]
    if trace.call_tree_left_out:
        text = f"the tree is cut: {count(trace.call_tree_left_out, 'call')} count for their callers"
        parts.append(Text(text, style="yellow"))
    return parts


def _walk(nodes: list[CallNode]) -> Iterator[tuple[CallNode, int, int]]:
    """(node, depth, how often in a row) depth first, the largest growth first; recursion in a row is one line."""
    children: dict[int, list[CallNode]] = {}
    for node in nodes:
        if node.parent is not None:
            children.setdefault(node.parent, []).append(node)
    for found in children.values():
        # Sorted for a stack: what is popped first comes last.
        found.sort(key=lambda n: (-n.growth, -n.time_ns, n.id), reverse=True)
    stack = [(node, 0) for node in nodes[:1]]
    while stack:
        first, depth = stack.pop()
        times, below = 1, children.get(first.id, [])
        while len(below) == 1 and below[0][2:5] == first[2:5]:
            times, below = times + 1, children.get(below[0].id, [])
        yield first, depth, times
        stack += [(node, depth + times) for node in below]


def _line(node: CallNode, depth: int, times: int, shorten: Shortener, bars: Bars | None, whole: int) -> Text:
    calls = f"{node.calls:,}" if node.parent is not None else ""
    numbers = f"{calls:>12}  {duration(node.time_ns):>10}  {signed(node.change):>11}  {size(node.growth):>10}  "
    bar = bars.text(node.growth, whole).append("  ") if bars else ""
    touched = f"{size(node.touched):>10}  "
    indent = "  " * min(depth, INDENTED_LEVELS) + (f"[{depth}] " if depth > INDENTED_LEVELS else "")
    place = f"  {location(label(shorten(node.file)), node.first_line)}" if node.file else ""
    again = f" x {times:,}" if times > 1 else ""
    return Text.assemble(numbers, bar, touched, indent, (label(node.function), "bold"), again, (place, "cyan"))


def json_object(trace: "TraceFile", nodes: list[CallNode]) -> dict[str, Any]:
    """The object of `pymemtrace tree --json` of a trace with events: `nodes` is flat, parents before children."""
    return {
        **eventlog.json_head(trace),
        "without_node": trace.call_tree_left_out,
        "nodes": [{**node._asdict(), "change": node.change} for node in nodes],
    }
