"""The call tree of `pymemtrace tree`, top-down. Stacks may be thousands deep: nothing here recurses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.report import facts, header
from pymemtrace.report.console import Bars
from pymemtrace.report.model import TreeNode
from pymemtrace.report.text import Shortener, clean, label, location
from pymemtrace.report.units import share, size

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

# Deeper levels are not indented further, their depth is printed instead.
INDENTED_LEVELS = 30


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """min_share: the part (0..1) of all that a node needs to be shown; depth: levels shown, 0 for all."""

    min_share: float = 0.01
    depth: int = 0
    full_paths: bool = False
    bars: Bars | None = None  # what draws shares as bars too


@dataclass(frozen=True, slots=True)
class _Shown:
    """A line of the tree: `times` equal frames, each the only child of the one above, from `first` to `last`."""

    first: TreeNode
    last: TreeNode
    depth: int
    times: int
    self_bytes: int


def select(nodes: list[TreeNode], whole: int, min_share: float, depth: int) -> list[TreeNode]:
    """The nodes with at least `min_share` of `whole` bytes, down to `depth` levels (0: all), and always the root.

    A node's total is at least its children's, so the parents of what is kept are kept.
    """
    levels: list[int] = []
    kept = []
    for node in nodes:
        level = 0 if node.parent is None else levels[node.parent] + 1
        levels.append(level)
        if node.parent is None or (node.total_bytes >= min_share * whole and (not depth or level <= depth)):
            kept.append(node)
    return kept


def report(trace: "TraceFile", options: TreeOptions) -> list[RenderableType]:
    """Everything that `pymemtrace tree` prints, in order."""
    parts: list[RenderableType] = [*header.head(trace), *header.process_lines(trace), Text("")]
    why = facts.why_empty(trace.result)
    if why:
        return [*parts, Text(clean(why), style="yellow"), Text(""), *header.closing(trace)]
    whole = trace.whole
    nodes = select(trace.tree, whole, options.min_share, options.depth)
    shorten = header.shortener(trace, options.full_paths)
    room = " " * (options.bars.width + 2) if options.bars else ""
    parts.append(Text(f"{'total':>12}  {'share':>7}  {room}{'self':>12}  call tree", style="bold"))
    parts += [_line(shown, whole, shorten, options.bars) for shown in _walk(nodes)]
    parts.append(Text(""))
    hidden = len(trace.tree) - len(nodes)
    if hidden:
        limit = f", at most {options.depth} levels" if options.depth else ""
        text = (
            f"{hidden:,} of {len(trace.tree):,} nodes are not shown (--min-share {100 * options.min_share:.3g}{limit})"
        )
        parts.append(Text(text, style="dim"))
    if nodes and nodes[0].self_bytes:
        parts.append(Text(f"self of {nodes[0].function}: native code without a Python frame", style="dim"))
    return [*parts, *header.closing(trace)]


def _walk(nodes: list[TreeNode]) -> Iterator[_Shown]:
    """The lines of the tree, depth first, the largest total first; recursion in a row is one line."""
    children: dict[int, list[TreeNode]] = {}
    for node in nodes:
        if node.parent is not None:
            children.setdefault(node.parent, []).append(node)
    for found in children.values():
        # Sorted for a stack: what is popped first comes last.
        found.sort(key=lambda n: (-n.total_bytes, n.file or "", n.line or 0, n.function, n.id), reverse=True)
    stack = [(node, 0) for node in nodes[:1]]
    while stack:
        first, depth = stack.pop()
        last, times, self_bytes = first, 1, first.self_bytes
        below = children.get(last.id, [])
        while len(below) == 1 and _same(first, below[0]):
            last, times, self_bytes = below[0], times + 1, self_bytes + below[0].self_bytes
            below = children.get(last.id, [])
        yield _Shown(first, last, depth, times, self_bytes)
        stack += [(node, depth + times) for node in below]


def _same(one: TreeNode, other: TreeNode) -> bool:
    return one[2:5] == other[2:5] and one.file is not None


def _line(shown: _Shown, whole: int, shorten: Shortener, bars: Bars | None) -> Text:
    node = shown.first
    total = f"{size(node.total_bytes):>12}  {share(node.total_bytes, whole):>7}  "
    bar = bars.text(node.total_bytes, whole).append("  ") if bars else ""
    own = f"{size(shown.self_bytes):>12}  "
    indent = "  " * min(shown.depth, INDENTED_LEVELS)
    if shown.depth > INDENTED_LEVELS:
        indent += f"[{shown.depth}] "
    times = f" x {shown.times:,}" if shown.times > 1 else ""
    known = node.file is not None and node.file != facts.UNKNOWN
    place = f"  {location(label(shorten(node.file or '')), node.line)}" if known else ""
    return Text.assemble(total, bar, own, indent, (label(node.function), "bold"), times, (place, "cyan"))
