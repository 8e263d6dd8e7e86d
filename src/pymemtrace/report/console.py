"""Where reports are printed: colour and the terminal's width on a terminal, plain text everywhere else."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 120


def make_console(out: TextIO) -> Console:
    """A console that takes no markup, emoji codes or highlighting: text from a trace is printed as it is."""
    terminal = out.isatty()
    return Console(
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


def _pipe_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return max(int(columns), 40) if columns.isascii() and columns.isdigit() else PIPE_WIDTH


def show(parts: Iterable[RenderableType], out: TextIO | None = None) -> None:
    """Print renderables in order, without rich's padding at the ends of lines."""
    target = sys.stdout if out is None else out
    console = make_console(target)
    for part in parts:
        if isinstance(part, Text) and not console.is_terminal:
            # Rich takes 0.2 ms a line, too long for trees of 100,000 lines that need neither colour nor folding.
            target.write(part.plain.rstrip(" ") + "\n")
            continue
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


def pairs(items: Iterable[tuple[str, str]]) -> list[Text]:
    """Lines "label  value", aligned."""
    kept = list(items)
    width = max((len(name) for name, _value in kept), default=0)
    return [Text.assemble((f"{name:<{width}}", "bold"), "  ", value) for name, value in kept]
