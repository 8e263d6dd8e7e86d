"""`pymemtrace html TRACE`: the trace as a page to look at."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymemtrace.page.document import Progress

HELP = "write a page that shows who held the memory at each moment"
DESCRIPTION = """\
Write one HTML file that needs no network and works from the disk: RSS over time by
owner, and for the moment or span that is chosen in it a flame graph, a table, and
the source lines. It opens at the peak of RSS. It holds the names and source lines
of the traced program: --no-source leaves the source out.
"""
EPILOG = """\
examples:
  pymemtrace html app.pmt                      writes app.html
  pymemtrace html app.pmt -o report.html -f
  pymemtrace html app.pmt --open               and opens it in the browser
  pymemtrace html app.pmt --no-source
  pymemtrace html --diff old.pmt new.pmt       with what changed from old to new
  pymemtrace html --diff old-1.pmt --diff old-2.pmt --diff old-3.pmt new.pmt

exit status: 0; 2 if the trace cannot be read or the page not be written (one line
on stderr says why; no half-written file is left).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `html`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where the page goes (default: TRACE with .html; `-`: standard output)"
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--diff",
        metavar="BASE",
        action="append",
        help="show what changed from this trace to TRACE: resident at the peak and at the end, and touched; given once "
        "more for each further run of the same program, which tell changes from noise",
    )
    parser.add_argument("--no-source", action="store_true", help="leave out the source lines")


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from pymemtrace.compare import runs
    from pymemtrace.errors import UsageError
    from pymemtrace.export import output
    from pymemtrace.page.document import document
    from pymemtrace.page.html import html, template
    from pymemtrace.report.text import clean
    from pymemtrace.report.units import size

    if args.open and args.output == "-":
        raise UsageError("html: --open cannot be used with -o -: name a file")
    runs.require_distinct("html", "--diff", args.diff or ())
    empty = template()  # before the trace is read: that takes seconds
    path = args.trace.removesuffix(".pmt") + ".html" if args.output is None else args.output
    with output.target(path, args.force, args.trace) as out:
        with _Bar() as progress:
            page = html(empty, document(args.trace, not args.no_source, progress, args.diff or ()))
        out.write(page.encode())
    if path != "-":
        print(f"{clean(path)}: {size(out.count)}; open it in a browser")
    return _open(path) if args.open else 0


class _Bar:
    """A bar on a terminal, and nothing elsewhere."""

    def __enter__(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar.start()
        task = self._bar.add_task("", total=1.0)
        return lambda done, text: self._bar.update(task, completed=done, description=text)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _open(path: str) -> int:
    import webbrowser
    from pathlib import Path

    from pymemtrace.errors import PymemtraceError

    if not webbrowser.open(Path(path).resolve().as_uri()):
        raise PymemtraceError(f"no browser was found to open {path}: open it by hand, or set BROWSER")
    return 0
