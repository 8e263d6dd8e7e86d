"""`pymemtrace timeline` on a terminal: RSS over time as a curve of layers, and who they are."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from pymemtrace.report import curve, facts, header, timeline
from pymemtrace.report.console import rows_table
from pymemtrace.report.curve import Canvas, Curve, Layer
from pymemtrace.report.text import Shortener, clean, label, location
from pymemtrace.report.timeline import REST, Owner, Point, Timeline
from pymemtrace.report.units import duration, share, size

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

_COLOURS = (
    "dodger_blue1",
    "dark_orange",
    "green3",
    "medium_orchid",
    "gold3",
    "turquoise2",
    "red3",
    "hot_pink",
    "pale_green3",
)
LAYERED = len(_COLOURS)  # so many owners have a layer of their own
# Those that no owner has: from the lowest, with the letters that stand for them where there are no colours.
_BASE = (Layer("grey30", "."), Layer("grey42", ":"), Layer("grey54", "-"), Layer("grey66", "+"))
BASE_NAMES = ("before the start", "files", "shared, kernel, tracer, not explained", REST)
_MOMENTS_A_COLUMN = 8
_HEIGHT = 14
_LEAST_LINES = 34  # of a terminal that has room for it


def moments_for(width: int) -> int:
    """How many moments a curve of so many columns is made of."""
    return min(max(width, curve.LEAST_WIDTH) * _MOMENTS_A_COLUMN, 4096)


def layers(owners: int) -> list[Layer]:
    """The layers of a curve with so many owners, the lowest first."""
    return [*_BASE, *(Layer(_COLOURS[at], str(at + 1)) for at in range(min(owners, LAYERED)))]


def heights(point: Point, owners: int) -> list[int]:
    """What each of `layers` holds at a point. Their sum is RSS."""
    shown = point.owners[:-1][: min(owners, LAYERED)]
    owned = sum(point.owners)
    before, other = point.parts["before_start"], timeline.other(point)
    if other < 0:  # owners are known to hold more than RSS at this moment: they have a layer, "less than nothing" not
        before, other = max(before + other, 0), 0
    return [before, point.parts["file"], other, owned - sum(shown), *shown]


def colour_of(console: Console) -> bool:
    """Whether layers may be told apart by their colours."""
    return console.color_system is not None and not console.no_color


class Picture:
    """The curve, as wide as the terminal."""

    def __init__(self, shown: Curve) -> None:
        self._curve = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = _HEIGHT if console.height >= _LEAST_LINES else max(console.height // 3, curve.LEAST_HEIGHT)
        canvas = Canvas(options.max_width, height, colour_of(console), options.ascii_only)
        for row in curve.draw(self._curve, canvas):
            row.truncate(options.max_width)
            yield row


class Legend:
    """Who the layers are, with what each holds at two points."""

    def __init__(self, found: Timeline, points: dict[str, Point], shorten: Shortener) -> None:
        self._found = found
        self._points = points  # by the heading of their column; shares are of the first one's RSS
        self._shorten = shorten

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        yield self._table(blocks_of(console))

    def _table(self, blocks: bool) -> Table:
        first, *others = self._points
        table = rows_table(["", first, "share", *others, "what"], 3 + len(others))
        owned = [point.owners for point in self._points.values()]
        keys = layers(len(self._found.who))
        for at, owner in enumerate(self._found.who):
            layer = keys[len(_BASE) + at] if at < LAYERED else None
            self._add(table, key(layer, blocks), [o[at] for o in owned], self._owner(owner))
        rest = [o[-1] for o in owned]
        for name, layer, values in self._base(rest):
            if any(values):
                self._add(table, key(layer, blocks), values, Text(name, style="dim"))
        return table

    def _base(self, rest: list[int]) -> Iterator[tuple[str, Layer, list[int]]]:
        points = self._points.values()
        before, file, other, others = zip(BASE_NAMES, _BASE, strict=True)
        yield *others, rest
        yield *before, [p.parts["before_start"] for p in points]
        yield *file, [p.parts["file"] for p in points]
        yield *other, [timeline.other(p) for p in points]

    def _add(self, table: Table, mark: Text, values: list[int], what: Text) -> None:
        whole = next(iter(self._points.values())).rss or 0
        first, *others = values
        table.add_row(mark, size(first), share(first, whole), *(size(value) for value in others), what)

    def _owner(self, owner: Owner) -> Text:
        place = location(label(self._shorten(owner.file)), owner.line) if owner.file else ""
        name = label(owner.name)
        return Text.assemble((name, "bold"), "  " if name and place else "", place)


def blocks_of(console: Console) -> bool:
    """Whether layers are told apart by coloured blocks; else by letters."""
    return colour_of(console) and not console.options.ascii_only


def key(layer: Layer | None, blocks: bool) -> Text:
    """What a layer is drawn with, for a legend."""
    if layer is None:
        return Text("+")  # drawn with all others
    if blocks:
        return Text.assemble(("██", layer.style), f" {layer.letter}")
    return Text(layer.letter)


def sum_text(processes: int) -> str:
    """What RSS of several processes is."""
    return f"the sum of {processes:,} processes: pages that they share count in each (--pid: of one)"


def curve_of(found: Timeline) -> Curve:
    """The curve of a timeline."""
    points = found.points
    owners = len(found.who)
    values = [heights(point, owners) for point in points]
    return Curve([p.time_s for p in points], values, layers(owners), points[0].time_s, points[-1].time_s)


def report(trace: "TraceFile", found: Timeline, full_paths: bool) -> list[RenderableType]:
    """Everything that `pymemtrace timeline` prints on a terminal. The trace is about the peak."""
    title = f"RSS of {header.command_text(trace.command)}, {duration(trace.result['duration_ns'])}"
    parts: list[RenderableType] = [Text(title, style="bold"), *header.process_lines(trace)]
    if trace.pid is None and len(trace.processes) > 1:
        parts.append(Text(sum_text(len(trace.processes))))
    shown = curve_of(found)
    peak = found.points[curve.highest(shown.totals)]
    legend = Legend(found, {"at peak": peak, "at end": found.points[-1]}, header.shortener(trace, full_paths))
    parts += [Picture(shown), Text(""), legend]
    parts += _container(trace)
    why = facts.why_empty(trace.result)
    if why:
        parts.append(Text(clean(why), style="yellow"))
    return [*parts, *timeline.closing(trace)]


def _container(trace: "TraceFile") -> list[Text]:
    limit = header.limit_text(trace)
    return [Text(f"limit of the container: {limit}")] if limit else []
