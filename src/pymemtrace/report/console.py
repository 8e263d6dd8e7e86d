"""Where reports are printed: colour and the terminal's width on a terminal, plain text everywhere else."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 120  # of a curve
_UNFOLDED = 100_000  # columns: of a table in a pipe, whose lines other programs read
BAR_WIDTH = 8  # characters
_NARROW_BAR = 4
_BARS_FROM, _NARROW_BARS_FROM = 100, 80  # columns: narrower terminals need them for names
_BAR_STYLE = "cyan"
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def make_console(out: TextIO, least_width: int = 0) -> Console:
    """A console that takes no markup, emoji codes or highlighting: text from a trace is printed as it is.

    least_width: on a narrower terminal lines are longer than it is, and numbers are not cut.
    """
    terminal = out.isatty()
    console = Console(
        file=out,
        width=None if terminal else _pipe_width(),
        # FORCE_COLOR and the like must not put escape sequences into a pipe: machines read it.
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        force_jupyter=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    if console.width < least_width:
        console.width = least_width
    return console


def _pipe_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return max(int(columns), 40) if columns.isascii() and columns.isdigit() else PIPE_WIDTH


def show(parts: Iterable[RenderableType], out: TextIO | None = None, least_width: int = 0) -> None:
    """Print renderables in order, without rich's padding at the ends of lines."""
    target = sys.stdout if out is None else out
    console = make_console(target, least_width)
    for part in parts:
        if isinstance(part, Text) and not console.is_terminal:
            # Rich takes 0.2 ms a line, too long for trees of 100,000 lines that need neither colour nor folding.
            target.write(part.plain.rstrip(" ") + "\n")
            continue
        if isinstance(part, Table) and not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = _UNFOLDED
        with console.capture() as capture:
            # Lines of text are never folded: who copies them from a terminal wants whole lines.
            console.print(part, soft_wrap=isinstance(part, Text))
        target.write("".join(f"{line.rstrip(' ')}\n" for line in capture.get().splitlines()))


def rows_table(headings: list[str], numbers: int) -> Table:
    """An empty table whose first `numbers` columns are numbers: to the right and never folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for at, heading in enumerate(headings):
        if at < numbers:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold")
    return table


class Bars:
    """Draws parts of a whole as bars of `width` characters, to an eighth of one where the terminal can show that."""

    def __init__(self, ascii_only: bool, width: int = BAR_WIDTH) -> None:
        self._ascii_only = ascii_only
        self.width = width

    def draw(self, part: int, whole: int) -> str:
        """`width` characters. What is there at all can be seen, if only as an eighth."""
        share = min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0
        eighths = max(round(share * self.width * 8), 1 if share else 0)
        if self._ascii_only:
            return f"{'#' * ((eighths + 4) // 8):<{self.width}}"
        full, rest = divmod(eighths, 8)
        return f"{'█' * full + _EIGHTHS[rest]:<{self.width}}"

    def text(self, part: int, whole: int) -> Text:
        """The same, coloured."""
        return Text(self.draw(part, whole), style=_BAR_STYLE)


def bars(out: TextIO | None = None) -> Bars | None:
    """What draws bars beside numbers: on a terminal that is wide enough for them, else None."""
    target = sys.stdout if out is None else out
    console = make_console(target)
    if not target.isatty() or console.width < _NARROW_BARS_FROM:
        return None
    return Bars(console.options.ascii_only, BAR_WIDTH if console.width >= _BARS_FROM else _NARROW_BAR)


def pairs(items: Iterable[tuple[str, str]]) -> list[Text]:
    """Lines "label  value", aligned."""
    kept = list(items)
    width = max((len(name) for name, _value in kept), default=0)
    return [Text.assemble((f"{name:<{width}}", "bold"), "  ", value) for name, value in kept]
