"""`pymemtrace report TRACE`: which lines, functions, modules and threads made the memory grow."""

import argparse
import sys

HELP = "show which lines, functions, modules and threads hold the memory"
DESCRIPTION = """\
Show who holds the memory when RSS is highest, or at another moment (--at), by
line, function, module and thread; --by file by source file.

  self    resident bytes that this line (function, ...) touched last, itself
  total   the same with everything it called
  share   self as part of RSS
  faults  page faults of it in the whole run

--touched shows who made the operating system hand out memory, also what was
given back: memory that is used again counts again, so the total may be larger
than the peak of RSS.
Native code that ran without a Python frame is listed by library and nearest
symbol: "<libfoo.so: symbol>"; "~symbol" is the nearest name before code that
has none. The closing line adds up to RSS as the system says it: what was there
before the start, what has an owner, pages of files, shared memory, pages that
only the kernel touched, the tracer's own, and what is not explained.
"""
EPILOG = """\
examples:
  pymemtrace report app.pmt                       the top 15 of each table
  pymemtrace report app.pmt --at end              what was not given back
  pymemtrace report app.pmt --touched             what was touched in the whole run
  pymemtrace report app.pmt --by function -n 40   one table, 40 rows
  pymemtrace report app.pmt --by file --full-paths -n 0
  pymemtrace report app.pmt -n 0 --full-paths | grep numpy
  pymemtrace report app.pmt --json | python -m json.tool

exit status: 0; 2 if the trace cannot be read (one line on stderr says why).
A trace that was cut off is readable.
"""


def row_count(text: str) -> int:
    """argparse type: a whole number, 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)


def add_moment(parser: argparse.ArgumentParser, touched: str) -> None:
    """--at and --touched, of which `moment` makes what TraceFile takes. touched: the help of the latter."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--at",
        metavar="WHEN",
        help="what was resident at the peak of RSS (`peak`, the default), at the `end`, after so many seconds, or when "
        "the snapshot of this name was taken",
    )
    when.add_argument("--touched", action="store_true", help=touched)


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that `report` and `tree` share."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    add_moment(parser, "rank by memory touched, whether given back or not")
    parser.add_argument("--pid", type=row_count, help="only this process (default: the sum of all)")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")
    parser.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")


def moment(args: argparse.Namespace) -> str | float | None:
    """What --at and --touched ask for, as TraceFile takes it."""
    from pymemtrace.report import held

    if args.touched:
        return None
    return held.parse(args.at) if args.at is not None else "peak"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `report`."""
    add_common(parser)
    parser.add_argument(
        "-n", "--top", type=row_count, default=15, metavar="N", help="rows a table, 0: all (default: 15)"
    )
    parser.add_argument("--releases", action="store_true", help="which lines gave memory back (run --releases exact)")
    parser.add_argument(
        "--by", choices=("line", "function", "module", "file", "thread", "process"), help="show only this table"
    )


def _check(args: argparse.Namespace) -> None:
    """Options of which one would be ignored."""
    from pymemtrace.errors import UsageError

    moment_option = "--touched" if args.touched else "--at" if args.at is not None else None
    by = "--by" if args.by else None
    one, other = ("--releases", moment_option or by) if args.releases else ("--json", by if args.json else None)
    if other:
        raise UsageError(f"report: {one} and {other} contradict each other: leave one of them out")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from pymemtrace.tracefile import TraceFile

    _check(args)
    trace = TraceFile(args.trace, args.pid, None if args.releases else moment(args))
    if args.json:
        from pymemtrace.report import json_report

        found = json_report.releases_object(trace) if args.releases else json_report.report_object(trace)
        json_report.write(sys.stdout, found)
        return 0
    from pymemtrace.report import tables
    from pymemtrace.report.console import bars, show

    if args.releases:
        show(tables.releases(trace, tables.TableOptions((), args.top, args.full_paths)))
        return 0
    kinds = (args.by,) if args.by else tables.DEFAULT_KINDS
    show(tables.report(trace, tables.TableOptions(kinds, args.top, args.full_paths, bars())))
    return 0
