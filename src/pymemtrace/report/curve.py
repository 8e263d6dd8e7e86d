"""A stacked curve made of characters: values over time as rows of text, any width and height. No I/O.

A column shows the highest of the moments that fall into it, so no peak is lost however many moments there are. With
colours an edge is drawn to an eighth of a character; without, and in ASCII, each layer has a letter of its own.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.text import Text

from pymemtrace.report.units import size

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_STEPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
LABEL_WIDTH = 10  # of a size beside the axis
_EDGE = LABEL_WIDTH + 2  # what stands before the first column
LEAST_WIDTH, LEAST_HEIGHT = 10, 4  # of the area that is drawn on


class Layer(NamedTuple):
    """What a layer is drawn with: a colour, and a letter where there are none."""

    style: str
    letter: str


class Cell(NamedTuple):
    """A character: its layer, and the layer behind it (None: nothing is there)."""

    glyph: str
    layer: int | None = None
    behind: int | None = None


EMPTY = Cell(" ")


@dataclass(frozen=True, slots=True)
class Curve:
    """times: ascending, seconds. values: of each time the height of each layer, the lowest layer first; negative ones
    count as 0. begin and end: what the time axis shows. mark: what the highest moment is called."""

    times: Sequence[float]
    values: Sequence[Sequence[int]]
    layers: Sequence[Layer]
    begin: float
    end: float
    mark: str = "peak"
    totals: list[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "totals", [sum(max(v, 0) for v in values) for values in self.values])


@dataclass(frozen=True, slots=True)
class Canvas:
    """What may be drawn with. width: of the whole, axis included; height: rows of the area alone."""

    width: int
    height: int
    colour: bool
    ascii_only: bool = False


def highest(totals: Sequence[int]) -> int:
    """The index of the highest moment, the first of equals."""
    return max(range(len(totals)), key=lambda at: (totals[at], -at))


def picked(times: Sequence[float], totals: Sequence[int], begin: float, end: float, width: int) -> list[int | None]:
    """Of each column the index of the moment that it shows: the highest within it, else the last one before it.

    None: before the first moment, or behind `end`.
    """
    span = max(end - begin, 1e-9)
    found: list[int | None] = [None] * width
    for at, time in enumerate(times):
        column = min(int((time - begin) / span * width), width - 1)
        if column < 0 or time > end:
            continue
        present = found[column]
        if present is None or totals[at] > totals[present]:
            found[column] = at
    for column in range(width):
        if found[column] is None:
            middle = begin + span * (column + 0.5) / width
            before = bisect_right(times, middle) - 1
            found[column] = before if before >= 0 and (not times or times[-1] >= middle) else None
    return found


def ceiling(value: int) -> int:
    """A round number of bytes that is at least `value`, for the upper end of an axis."""
    unit = 1024
    while unit * 1000 < value:
        unit *= 1024
    power = unit
    while power * 10 < value:
        power *= 10
    return next(int(step * power) for step in _STEPS if step * power >= value or step == _STEPS[-1])


def stacked(columns: Sequence[Sequence[int]], top: int, canvas: Canvas, letters: Sequence[str]) -> list[list[Cell]]:
    """Rows of cells, the uppermost first. columns: the heights of the layers, the lowest first; top: the height of the
    area."""
    cells = [_column(column, top, canvas, letters) for column in columns]
    return [[column[row] for column in cells] for row in reversed(range(canvas.height))]


def _column(heights: Sequence[int], top: int, canvas: Canvas, letters: Sequence[str]) -> list[Cell]:
    """The cells of a column, the lowest first."""
    edges = _edges(heights, top, canvas.height * 8)
    fine = canvas.colour and not canvas.ascii_only
    cells = []
    for row in range(canvas.height):
        low, high = 8 * row, 8 * row + 8
        parts = []  # (eighths of this cell, layer), the lowest first
        below = 0
        for layer, edge in enumerate(edges):
            here = min(edge, high) - max(below, low)
            if here > 0:
                parts.append((here, layer))
            below = edge
        cells.append(_fine(parts) if fine else _coarse(parts, row == 0, letters))
    return cells


def _edges(heights: Sequence[int], top: int, eighths: int) -> list[int]:
    """The upper edge of each layer. What is there at all is an eighth at least."""
    edges, total = [], 0
    for height in heights:
        total += max(height, 0)
        edges.append(min(round(total * eighths / top), eighths) if top > 0 else 0)
    if total > 0 and edges[-1] == 0:
        edges[-1] = 1
    return edges


def _fine(parts: list[tuple[int, int]]) -> Cell:
    filled = sum(part for part, _layer in parts)
    if not filled:
        return EMPTY
    largest = max(parts)[1]
    if filled < 8:
        return Cell(_EIGHTHS[filled], largest)  # a cell has two colours: the edge to nothing is the one to show
    if len(parts) == 1:
        return Cell(_EIGHTHS[8], largest)
    # The two that take most of it, in their order.
    kept = sorted(sorted(range(len(parts)), key=lambda at: -parts[at][0])[:2])
    lower, upper = parts[kept[0]], parts[kept[1]]
    eighths = min(max(round(8 * lower[0] / (lower[0] + upper[0])), 1), 7)
    return Cell(_EIGHTHS[eighths], lower[1], upper[1])


def _coarse(parts: list[tuple[int, int]], lowest: bool, letters: Sequence[str]) -> Cell:
    filled = sum(part for part, _layer in parts)
    if filled < 4 and not (lowest and filled):
        return EMPTY
    layer = max(parts)[1]
    return Cell(letters[layer], layer)


def clock(seconds: float, span: float) -> str:
    """A time on an axis of `span` seconds: "0.25 s", "42 s", "3:05", "1:02:03"."""
    if span < 120:
        decimals = 0 if span >= 40 else 1 if span >= 4 else 2 if span >= 0.4 else 3
        return f"{seconds:.{decimals}f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if span < 7200 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def short_size(value: int) -> str:
    """A round size without its ".0"."""
    return size(value).replace(".0 ", " ")


def draw(curve: Curve, canvas: Canvas) -> list[Text]:
    """The curve with its axes: a line that marks the peak, `height` rows, the time axis and its labels."""
    width = max(canvas.width - _EDGE, LEAST_WIDTH)
    shown = picked(curve.times, curve.totals, curve.begin, curve.end, width)
    seen = [at for at in shown if at is not None]
    peak = max(seen, key=lambda at: (curve.totals[at], -at), default=None)
    top = ceiling(max(curve.totals[peak], 1) if peak is not None else 1)
    columns = [[] if at is None else curve.values[at] for at in shown]
    cells = stacked(columns, top, canvas, [layer.letter for layer in curve.layers])
    rows = [_mark(curve, peak, shown, canvas, width)] if curve.mark else []
    labels = {0: short_size(top), canvas.height // 2: short_size(top - top * (canvas.height // 2) // canvas.height)}
    rows += [_row(labels.get(number, ""), row, curve.layers, canvas) for number, row in enumerate(cells)]
    return [*rows, *_time_axis(curve, canvas, width)]


def _row(label: str, cells: list[Cell], layers: Sequence[Layer], canvas: Canvas) -> Text:
    tick = ("+" if label else "|") if canvas.ascii_only else "┤" if label else "│"
    text = Text(f"{label:>{LABEL_WIDTH}} ", no_wrap=True)
    text.append(tick, style="dim")
    for cell in cells:
        style = layers[cell.layer].style if canvas.colour and cell.layer is not None else ""
        if canvas.colour and cell.behind is not None:
            style += f" on {layers[cell.behind].style}"
        text.append(cell.glyph, style=style or None)
    return text


def _mark(curve: Curve, peak: int | None, shown: Sequence[int | None], canvas: Canvas, width: int) -> Text:
    if peak is None:
        return Text("", no_wrap=True)
    column = shown.index(peak)
    when = clock(curve.times[peak], (curve.end - curve.begin) / 10)
    words = f"{curve.mark} {size(curve.totals[peak])}, {when}"
    if max(column - 1, width - column - 2) < len(words):
        words = words.partition(",")[0]
    arrow = "v" if canvas.ascii_only else "▼"
    right = column + 2 + len(words) <= width
    start = column if right or column < len(words) + 1 else column - len(words) - 1
    text = f"{arrow} {words}" if start == column else f"{words} {arrow}"
    return Text.assemble(" " * (_EDGE + start), (text[: max(width - start, 0)], "bold"), no_wrap=True)


def _time_axis(curve: Curve, canvas: Canvas, width: int) -> list[Text]:
    corner, dash, tick = ("+", "-", "+") if canvas.ascii_only else ("└", "─", "┬")
    span = curve.end - curve.begin
    longest = len(clock(curve.end, span)) + 2
    pieces = max(min(4, width // (2 * longest)), 1)
    places = [piece * (width - 1) // pieces for piece in range(pieces + 1)]
    line = "".join(tick if column in places else dash for column in range(width))
    labels = [" "] * width
    for piece, place in enumerate(places):
        word = clock(curve.begin + span * piece / pieces, span)
        start = min(max(place - len(word) // 2, 0), width - len(word))
        labels[max(start, 0) : max(start, 0) + len(word)] = word
    zero = f"{'0':>{LABEL_WIDTH}} "
    return [
        Text.assemble(zero, (corner + line, "dim"), no_wrap=True),
        Text(" " * _EDGE + "".join(labels), no_wrap=True),
    ]
