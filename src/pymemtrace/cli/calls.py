"""`pymemtrace calls TRACE`: which functions were called how often, took how long and moved RSS."""

import argparse
import sys

from pymemtrace.cli.report import row_count

HELP = "show for each function its calls, time and what RSS did in it"
DESCRIPTION = """\
Show for each function what the event log says, of a trace that `pymemtrace run
--calls` or `--lines` recorded.

  calls    how often it was called; a generator's resumptions do not count
  time     in it and in what it called; self: without what it called
  change   of RSS from the beginning to the end of its calls, what it called
           included; self: while it was the innermost
  growth   by how much RSS rose in it, release: by how much it fell (self)
  largest  the largest rise inside one call: the highest RSS within the call,
           less the RSS at its beginning. What was released before the end of
           the call is in it, in `change` it is not
  touched  bytes that the thread's own page faults brought in (with what it
           called)

RSS is the process's: what other threads did during a call is in its change.
A function that calls itself is counted once. While a generator or coroutine is
suspended it holds no time.
"""
EPILOG = """\
examples:
  pymemtrace calls app.pmt                     the 25 that grew most themselves
  pymemtrace calls app.pmt --sort largest      where memory was high for a while
  pymemtrace calls app.pmt --sort calls -n 0
  pymemtrace calls app.pmt --json | python -m json.tool

exit status: 0; 2 if the trace cannot be read or holds no calls.
A trace that was cut off is readable.
"""
COLUMNS = (
    "calls",
    "time",
    "self-time",
    "change",
    "self-change",
    "growth",
    "self-growth",
    "release",
    "self-release",
    "largest",
    "touched",
    "self-touched",
    "function",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `calls`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument(
        "--sort",
        choices=COLUMNS,
        default="self-growth",
        metavar="COLUMN",
        help=f"{', '.join(COLUMNS)} (default: self-growth)",
    )
    parser.add_argument("-n", "--top", type=row_count, default=25, metavar="N", help="rows, 0: all (default: 25)")
    parser.add_argument("--pid", type=row_count, help="only this process (default: the sum of all)")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")
    parser.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the functions."""
    from pymemtrace.report import calls, eventlog
    from pymemtrace.tracefile import TraceFile

    trace = TraceFile(args.trace, args.pid)
    eventlog.require(trace)
    if args.json:
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, calls.json_object(trace, calls.in_order(trace.calls, args.sort)))
        return 0
    from pymemtrace.report.console import show

    show(calls.report(trace, calls.CallsOptions(args.sort, args.top, args.full_paths)))
    return 0
