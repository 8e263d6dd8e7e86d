"""`pymemtrace lines TRACE [FILE...]`: the source, with what each line did to memory beside it."""

import argparse
import sys

from pymemtrace.cli.report import row_count

HELP = "show the source with hits, time and memory beside each line"
DESCRIPTION = """\
Show source text with what the trace says of each line beside it. A line runs
from its beginning to the next line of the same call, with all that it calls.

  hits     how often it ran
  time     while it ran
  touched  bytes that page faults brought in at this line itself
  change   of RSS while it ran
  largest  the largest rise while it ran once: the highest RSS, less that at
           its beginning

A bar on a terminal shows the largest of touched, change and largest, as part of
the largest in the file. Hits, time, change and largest need `pymemtrace run --lines`. Without FILE the
files are shown whose lines grew most, and of these the lines with numbers.
The source is read from where it was when the program ran.
"""
EPILOG = """\
examples:
  pymemtrace lines app.pmt
  pymemtrace lines app.pmt loader.py            the whole file
  pymemtrace lines app.pmt --json | python -m json.tool

exit status: 0; 2 if the trace cannot be read or has nothing on lines.
A trace that was cut off is readable.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `lines`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument("files", metavar="FILE", nargs="*", help="a source file, by its name or the end of its path")
    parser.add_argument("-n", "--top", type=row_count, default=3, metavar="N", help="files, 0: all (default: 3)")
    parser.add_argument("--pid", type=row_count, help="only this process (default: the sum of all)")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")
    parser.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the lines."""
    from pymemtrace.report import eventlog, lines
    from pymemtrace.tracefile import TraceFile

    trace = TraceFile(args.trace, args.pid)
    if not trace.lines():
        eventlog.require(trace)
    chosen = lines.choose(trace, args.files, 0 if args.json else args.top)
    if args.json:
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, lines.json_object(trace, chosen))
        return 0
    from pymemtrace.report.console import bars, show

    show(lines.report(trace, chosen, whole=bool(args.files), full_paths=args.full_paths, bars=bars()))
    return 0
