"""The curve of `pymemtrace timeline`: values in, rows of characters out; and the bars beside shares."""

import random

import pytest

from pymemtrace.report import curve
from pymemtrace.report.console import BAR_WIDTH, Bars
from pymemtrace.report.curve import Canvas, Curve, Layer

MIB = 1 << 20
LAYERS = [Layer("grey30", "."), Layer("red", "1"), Layer("blue", "2")]
FINE = Canvas(60, 10, colour=True)
COARSE = Canvas(60, 10, colour=False)
EIGHTHS = " ▁▂▃▄▅▆▇█"


def heights(rows: list[list[curve.Cell]]) -> list[int]:
    """Of each column how many eighths are filled, which must be without holes."""
    found = []
    for column in zip(*rows, strict=True):
        cells = ["█" if cell.behind is not None else cell.glyph for cell in reversed(column)]
        total = sum(EIGHTHS.index(glyph) for glyph in cells)
        assert cells == [EIGHTHS[min(max(total - 8 * row, 0), 8)] for row in range(len(cells))]
        found.append(total)
    return found


def test_heights_are_exact_to_an_eighth() -> None:
    columns = [[value, value // 2, 0] for value in range(0, 800, 7)]
    rows = curve.stacked(columns, 1200, FINE, "...")
    assert len(rows) == FINE.height
    for found, column in zip(heights(rows), columns, strict=True):
        assert abs(found - sum(column) * 80 / 1200) <= 0.5


def test_layers_lie_in_their_order() -> None:
    rows = curve.stacked([[30, 20, 50]], 100, COARSE, ".12")
    assert "".join(row[0].glyph for row in rows) == "2222211..."
    [lower] = [row[0] for row in curve.stacked([[25, 75, 0]], 100, Canvas(60, 1, colour=True), ".12")]
    assert lower == curve.Cell("▂", 0, 1)


def test_what_is_there_is_seen_and_negative_is_nothing() -> None:
    assert heights(curve.stacked([[1, 0, 0], [0, 0, 0], [-5, 0, 0]], 1 << 40, FINE, "...")) == [1, 0, 0]
    assert [row[0].glyph for row in curve.stacked([[1]], 1 << 40, COARSE, ".")][-1] == "."


@pytest.mark.parametrize("width", [1, 7, 80, 5000])
def test_no_peak_is_lost(width: int) -> None:
    generator = random.Random(width)
    times = sorted(generator.uniform(0, 10) for _ in range(3000))
    totals = [generator.randrange(1000) for _ in times]
    for at in generator.sample(range(len(times)), 20):
        spiked = [*totals[:at], 5000, *totals[at + 1 :]]
        shown = curve.picked(times, spiked, 0, 10, width)
        assert at in shown
        assert [s for s in shown if s is not None] == sorted(s for s in shown if s is not None)


def test_gaps_show_what_was_before_and_the_future_is_empty() -> None:
    shown = curve.picked([0, 5, 6], [3, 2, 1], 0, 10, 10)
    assert shown == [0, 0, 0, 0, 0, 1, 2, None, None, None]


@pytest.mark.parametrize("value", [1, 1023, 1024, 1025, 5 * MIB, 999 * MIB, 1001 * MIB, 1500 * MIB, (1 << 50) - 1])
def test_the_axis_ends_at_a_round_number_above(value: int) -> None:
    top = curve.ceiling(value)
    assert value <= top
    assert top <= max(2 * value, 1024)
    assert float(curve.short_size(top).split()[0].replace(",", "")) in {
        step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) for power in (1, 10, 100, 1000)
    } | {125.0}


def test_the_picture() -> None:
    times = [at / 10 for at in range(101)]
    values = [[MIB, 4 * MIB if at == 42 else MIB, 0] for at in range(101)]
    rows = [text.plain for text in curve.draw(Curve(times, values, LAYERS, 0, 10), Canvas(42, 4, colour=False))]
    assert rows == [
        "                        ▼ peak 5.0 MiB",
        "     5 MiB ┤            1                 ",
        "           │            1                 ",
        "   2.5 MiB ┤111111111111111111111111111111",
        "           │..............................",
        "         0 └┬────────────────────────────┬",
        "            0.0 s                   10.0 s",
    ]
    assert all(len(row) <= 42 for row in rows)
    plain = [text.plain for text in curve.draw(Curve(times, values, LAYERS, 0, 10), Canvas(42, 4, True, True))]
    assert all(row.isascii() for row in plain)


def test_a_curve_of_nothing() -> None:
    assert len(curve.draw(Curve([], [], LAYERS, 0, 0), COARSE)) == 13
    assert len(curve.draw(Curve([0.0], [[0, 0, 0]], LAYERS, 0, 0), Canvas(1, 4, colour=False))) == 7


def test_times_on_axes() -> None:
    assert [curve.clock(2.5, span) for span in (0.1, 1, 10, 100)] == ["2.500 s", "2.50 s", "2.5 s", "2 s"]
    assert curve.clock(185, 300) == "3:05"
    assert curve.clock(3723, 7200) == "1:02:03"


def test_bars() -> None:
    bars = Bars(ascii_only=False)
    assert bars.draw(0, 100) == " " * BAR_WIDTH
    assert bars.draw(1, 10**9) == "▏" + " " * (BAR_WIDTH - 1)
    assert bars.draw(50, 100).rstrip() == "█" * (BAR_WIDTH // 2)
    assert bars.draw(300, 100) == "█" * BAR_WIDTH
    assert bars.draw(-3, 100) == bars.draw(3, 0) == " " * BAR_WIDTH
    assert all(len(bars.draw(part, 77)) == BAR_WIDTH for part in range(78))
    assert Bars(ascii_only=True).draw(50, 100) == f"{'#' * (BAR_WIDTH // 2):<{BAR_WIDTH}}"
