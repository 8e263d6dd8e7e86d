"""`pymemtrace diff A B`: what changed between two traces, or two sets of traces."""

import argparse
import sys

from pymemtrace.cli.log import byte_size
from pymemtrace.cli.report import add_moment, moment, row_count

HELP = "show what changed between two traces, or two sets of traces"
DESCRIPTION = """\
Show who holds more or less memory in the second trace than in the first, by
line, function, module and thread, when RSS is highest or at another moment
(--at), and the parts of RSS, whose differences add up to that of RSS.

  change  new less base
  new     no memory in base      gone    no memory in new
  grew, shrank                   in both

Memory differs a little from run to run. To tell a change from that, trace each
side several times and give all files, each side's after its option:

  pymemtrace diff --base old-1.pmt old-2.pmt old-3.pmt --new new-*.pmt

Then base and new are medians (of an even number the mean of the middle two),
spread is by how much the runs of either side differ, largest less smallest,
both added up, and a change no larger than that is "noise" and stands last. Three
runs a side are enough for most programs. The parts of RSS are those of each
side's middle run, so that they add up; the owners' medians need not. Owners
differ least between runs of `pymemtrace run --exact`.

The same owner in both: a module of the same dotted name (where it lies does not
matter) and a function of the same qualified name; a thread of the same name. A
line is matched by its file, function and place: lines move when code is edited,
so it is counted from the first line of its function, and an edit inside the
function still makes lines behind it "gone" and "new". --by function is then
the better view. Functions of the same name in a module are one; the lines of
such (lambdas) are matched by their numbers.
"""
EPILOG = """\
examples:
  pymemtrace diff before.pmt after.pmt              the top 15 of each table
  pymemtrace diff before.pmt after.pmt --at end     what is not given back
  pymemtrace diff before.pmt after.pmt --by function --total
  pymemtrace diff before.pmt after.pmt --touched    what is handed out
  pymemtrace diff --base old-*.pmt --new new-*.pmt --min-change 1MiB
  pymemtrace diff before.pmt after.pmt --json | jq '.by_function[:5]'

exit status: 0, whatever changed; 2 if a trace cannot be read (one line on
stderr says why). `pymemtrace check` fails when memory grew.
"""
_MIN_CHANGE = 64 << 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `diff`."""
    parser.usage = "pymemtrace diff [options] A B\n       pymemtrace diff [options] --base A1 A2 ... --new B1 B2 ..."
    parser.add_argument("traces", metavar="TRACE", nargs="*", help="the two trace files: before, after")
    parser.add_argument(
        "--base", metavar="FILE", nargs="+", action="extend", help="traces of the first side, up to the next option"
    )
    parser.add_argument(
        "--new", metavar="FILE", nargs="+", action="extend", help="traces of the second side, up to the next option"
    )
    add_moment(parser, "compare memory touched, whether given back or not")
    parser.add_argument("--by", choices=("line", "function", "module", "thread"), help="show only this table")
    parser.add_argument("--total", action="store_true", help="an owner's memory with that of everything it called")
    parser.add_argument("--root", action="store_true", help="only the first process (default: owners of all)")
    parser.add_argument(
        "-n", "--top", type=row_count, default=15, metavar="N", help="rows a table, 0: all (default: 15)"
    )
    parser.add_argument(
        "--min-change",
        type=byte_size,
        default=_MIN_CHANGE,
        metavar="SIZE",
        help="only changes of so much (default: 64KiB; --json has all)",
    )
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")
    parser.add_argument("--json", action="store_true", help="print one JSON object, every owner; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the comparison."""
    base, new = sides(args)
    _require_combination(args)
    from pymemtrace.compare import diff, owners, runs

    asked = runs.Asked(moment(args), (args.by,) if args.by else _kinds(args, owners.KINDS), args.total, args.root)
    found = diff.compare([runs.read(path, asked) for path in base], [runs.read(path, asked) for path in new])
    if args.json:
        from pymemtrace.compare import objects
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, objects.diff_object(found, asked))
        return 0
    from pymemtrace.compare import tables
    from pymemtrace.report.console import show

    show(tables.report(found, asked, tables.DiffOptions(args.top, args.min_change, args.full_paths)))
    return 0


def _kinds(args: argparse.Namespace, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """A thread calls nothing."""
    return tuple(kind for kind in kinds if kind != "thread") if args.total else kinds


def _require_combination(args: argparse.Namespace) -> None:
    from pymemtrace.errors import UsageError

    if args.total and args.by == "thread":
        raise UsageError("diff: --total and --by thread contradict each other: a thread has all that ran in it anyway")


def sides(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The files of both sides. Raises UsageError."""
    from pymemtrace.compare import runs
    from pymemtrace.errors import UsageError
    from pymemtrace.report.units import count

    if args.base is None and args.new is None:
        if len(args.traces) != 2:
            raise UsageError(
                f"diff: {count(len(args.traces), 'trace')} given: give two, or several a side as "
                "--base A1 A2 --new B1 B2 (see pymemtrace diff --help)"
            )
        return [args.traces[0]], [args.traces[1]]
    if args.base is None or args.new is None:
        have, lack = ("--base", "--new") if args.new is None else ("--new", "--base")
        raise UsageError(f"diff: {have} needs {lack} beside it: name the files of both sides")
    if args.traces:
        raise UsageError(f"diff: {args.traces[0]} belongs to neither side: put it behind --base or --new")
    for option, paths in (("--base", args.base), ("--new", args.new)):
        runs.require_distinct("diff", option, paths)
    return args.base, args.new
