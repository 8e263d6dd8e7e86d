"""`pymemtrace timeline TRACE`: RSS over time and who held it."""

import argparse
import sys

from pymemtrace.cli.report import row_count

HELP = "show RSS over time, and which lines, functions, modules or files held it"
DESCRIPTION = """\
Show RSS over time: what was there before the start, what has an owner, pages of
files, shared memory, the kernel's and the tracer's, and the owners that held most
at once. At each point the parts add up to RSS, the owners to what is owned.

On a terminal as a curve, with what each holds at its peak and at the end below
it. A column of the curve is the highest of the moments in it. In a pipe, or with
--table, as a table of points, with the container's use.
"""
EPILOG = """\
examples:
  pymemtrace timeline app.pmt                        the curve, and the top 5 lines
  pymemtrace timeline app.pmt --by function -n 9     the owners that have colours of their own
  pymemtrace timeline app.pmt --table | less         20 points, the top 3 lines
  pymemtrace timeline app.pmt --points 500 --csv > app.csv
  pymemtrace timeline app.pmt --points 500 --json

exit status: 0; 2 if the trace cannot be read (one line on stderr says why).
"""
_POINTS_MAX = 4096
_POINTS = 20  # of tables
_TOP, _TOP_OF_CURVE = 3, 5


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
    parser.add_argument(
        "-n",
        "--top",
        type=row_count,
        metavar="N",
        help=f"owners, 0: all (default: {_TOP}, of the curve {_TOP_OF_CURVE})",
    )
    parser.add_argument(
        "--points",
        type=points,
        metavar="N",
        help=f"points in time (default: {_POINTS}, of the curve as many as its width needs)",
    )
    parser.add_argument("--pid", type=row_count, help="only this process (default: the sum of all)")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--table", action="store_true", help="print a table of points on a terminal too")
    form.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")
    form.add_argument("--csv", action="store_true", help="print columns; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the timeline."""
    from pymemtrace.report import timeline
    from pymemtrace.tracefile import TraceFile

    if sys.stdout.isatty() and not (args.table or args.json or args.csv):
        return _curve(args)
    trace = TraceFile(args.trace, args.pid, None if args.json or args.csv else "peak")
    found = timeline.read(trace, args.by, _TOP if args.top is None else args.top, args.points or _POINTS)
    if args.json:
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, timeline.json_object(found))
    elif args.csv:
        timeline.write_csv(sys.stdout, found)
    else:
        from pymemtrace.report.console import PIPE_WIDTH, show

        show(timeline.report(trace, found, args.full_paths), least_width=PIPE_WIDTH if args.table else 0)
    return 0


def _curve(args: argparse.Namespace) -> int:
    from pymemtrace.report import timeline, timeline_curve
    from pymemtrace.report.console import make_console, show
    from pymemtrace.tracefile import TraceFile

    trace = TraceFile(args.trace, args.pid, "peak")
    moments = args.points or timeline_curve.moments_for(make_console(sys.stdout).width)
    found = timeline.read(trace, args.by, _TOP_OF_CURVE if args.top is None else args.top, moments)
    show(timeline_curve.report(trace, found, args.full_paths))
    return 0
