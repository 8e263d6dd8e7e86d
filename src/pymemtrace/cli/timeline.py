"""`pymemtrace timeline TRACE`: RSS over time and who held it."""

import argparse
import sys

from pymemtrace.cli.report import row_count

HELP = "show RSS over time, and which lines, functions, modules or files held it"
DESCRIPTION = """\
Show RSS over time: what was there before the start, what has an owner, pages of
files, shared memory, the kernel's and the tracer's, with the container's use, and
a column for each of the owners that held most at once. At each point the parts
add up to RSS, the owners to what is owned.
"""
EPILOG = """\
examples:
  pymemtrace timeline app.pmt                        20 points, the top 3 lines
  pymemtrace timeline app.pmt --by function -n 10
  pymemtrace timeline app.pmt --points 500 --csv > app.csv
  pymemtrace timeline app.pmt --points 500 --json

exit status: 0; 2 if the trace cannot be read (one line on stderr says why).
"""
_POINTS_MAX = 4096


def points(text: str) -> int:
    """argparse type: a number of points."""
    number = row_count(text)
    if not 2 <= number <= _POINTS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 2 to {_POINTS_MAX}")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `timeline`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument(
        "--by", choices=("line", "function", "module", "file"), default="line", help="owners (default: line)"
    )
    parser.add_argument("-n", "--top", type=row_count, default=3, metavar="N", help="owners, 0: all (default: 3)")
    parser.add_argument("--points", type=points, default=20, metavar="N", help="points in time (default: 20)")
    parser.add_argument("--pid", type=row_count, help="only this process (default: the sum of all)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")
    form.add_argument("--csv", action="store_true", help="print columns; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the timeline."""
    from pymemtrace.report import timeline
    from pymemtrace.tracefile import TraceFile

    found = timeline.read(TraceFile(args.trace, args.pid), args.by, args.top, args.points)
    if args.json:
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, timeline.json_object(found))
    elif args.csv:
        timeline.write_csv(sys.stdout, found)
    else:
        from pymemtrace.report.console import show

        show(timeline.report(found))
    return 0
