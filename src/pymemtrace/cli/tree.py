"""`pymemtrace tree TRACE`: the call tree, top-down."""

import argparse
import sys
from typing import TYPE_CHECKING

from pymemtrace.cli.report import add_common, moment, row_count

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

HELP = "show the call tree with the memory held below each call"
DESCRIPTION = """\
Show the call tree, top-down, the calls that hold most first: at the peak of RSS
or at another moment (--at).

  total   resident bytes touched last by this call and everything it called
  share   total as part of RSS
  self    resident bytes that it touched itself

Of a trace with calls (`pymemtrace run --calls`) the tree is exact, with calls,
time, RSS change, growth and bytes touched, each with everything called; a node
is a function below its caller. --at and --touched show the tree of page faults.

A function that calls itself again and again is one line: "walk x 4,997".
Below 30 levels the depth is printed instead of more indentation.
"""
EPILOG = """\
examples:
  pymemtrace tree app.pmt                   calls with at least 1 % of the memory
  pymemtrace tree app.pmt --min-share 0.1   down to 0.1 %
  pymemtrace tree app.pmt --depth 5         the outermost five levels
  pymemtrace tree app.pmt --json            every node, as a flat list

exit status: 0; 2 if the trace cannot be read (one line on stderr says why).
A trace that was cut off is readable.
"""


def percent(text: str) -> float:
    """argparse type: a share in percent, 0 to 100; "5 %" and "5%" are accepted."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 to 100")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tree`."""
    add_common(parser)
    parser.add_argument(
        "--min-share",
        type=percent,
        metavar="PERCENT",
        help="leave out calls with a smaller share (default: 1; with --json: 0)",
    )
    parser.add_argument("--depth", type=row_count, default=0, metavar="N", help="levels to show, 0: all (default: 0)")


def _calls(trace: "TraceFile", args: argparse.Namespace) -> int:
    """The exact tree, of a trace with events."""
    from pymemtrace.report import calltree
    from pymemtrace.report.tree import TreeOptions

    if args.json:
        from pymemtrace.report import json_report

        nodes = calltree.select(trace.call_tree, (args.min_share or 0.0) / 100, args.depth)
        json_report.write(sys.stdout, calltree.json_object(trace, nodes))
        return 0
    from pymemtrace.report.console import bars, show

    share = 1.0 if args.min_share is None else args.min_share
    show(calltree.report(trace, TreeOptions(share / 100, args.depth, args.full_paths, bars())))
    return 0


def run(args: argparse.Namespace) -> int:
    """Print the tree."""
    from pymemtrace.report import tree
    from pymemtrace.tracefile import TraceFile

    trace = TraceFile(args.trace, args.pid, moment(args))
    if trace.has_events and not args.touched and args.at is None:
        return _calls(trace, args)
    if args.json:
        from pymemtrace.report import json_report

        nodes = tree.select(trace.tree, trace.whole, (args.min_share or 0.0) / 100, args.depth)
        json_report.write(sys.stdout, json_report.tree_object(trace, nodes))
        return 0
    from pymemtrace.report.console import bars, show

    share = 1.0 if args.min_share is None else args.min_share
    show(tree.report(trace, tree.TreeOptions(share / 100, args.depth, args.full_paths, bars())))
    return 0
