"""`pymemtrace log TRACE`: the event log, row by row."""

import argparse
import sys

from pymemtrace.cli.report import row_count

HELP = "show the event log: every call, return and line with the process's RSS"
DESCRIPTION = """\
Show the events of a trace that `pymemtrace run --calls` or `--lines` recorded,
in the order of time, over all threads and processes.

  time     seconds since the start of the trace
  RSS      the process's, when the event happened
  change   of RSS since the process's row before, whichever thread's that was:
           the changes of all rows add up to end minus start
  kind     call, return, yield, resume, throw, unwind (an exception leaves the
           function), c_call, c_return, c_raise, line; fault: a page fault that
           brought memory in; mark: of the program, a section, the process's
           start and end; lost: events are missing here

A name is indented by the number of calls that it is inside of. The file and
line of a call are where the function begins; of a return, where it ends (when
lines were recorded).
"""
EPILOG = """\
examples:
  pymemtrace log app.pmt | less
  pymemtrace log app.pmt --min-change 64KiB     what moved RSS, and the row before each
  pymemtrace log app.pmt --function 'Parser.*' --since 2.5 --until 3
  pymemtrace log app.pmt --json | jq 'select(.kind == "unwind")'

exit status: 0; 2 if the trace cannot be read or holds no calls.
A trace that was cut off is readable.
"""


def byte_size(text: str) -> int:
    """argparse type: a size like 4KiB."""
    from pymemtrace.report.units import parse_size

    try:
        return parse_size(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def seconds(text: str) -> float:
    """argparse type: seconds, 0 or more."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `log`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument(
        "--min-change",
        type=byte_size,
        default=0,
        metavar="SIZE",
        help="only rows that changed RSS by so much (4KiB), and the row before each",
    )
    parser.add_argument("--thread", metavar="TID|NAME", help="only this thread's rows")
    parser.add_argument(
        "--function", metavar="NAME", help="only functions whose qualified name contains NAME, or fits it as a pattern"
    )
    parser.add_argument("--since", type=seconds, metavar="S", help="only rows from this time on, in seconds")
    parser.add_argument("--until", type=seconds, metavar="S", help="only rows up to this time, in seconds")
    parser.add_argument("--pid", type=row_count, help="only this process (default: all)")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--csv", action="store_true", help="print comma-separated values; sizes are bytes")
    style.add_argument("--json", action="store_true", help="print one JSON object a line; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the log."""
    from pymemtrace.errors import UsageError
    from pymemtrace.report import eventlog, facts, header, logtext
    from pymemtrace.tracefile import TraceFile

    trace = TraceFile(args.trace, args.pid)
    eventlog.require(trace)
    if args.since is not None and args.until is not None and args.since > args.until:
        raise UsageError(f"--since {args.since:g} is later than --until {args.until:g}: no row can be shown")
    choice = logtext.Choice(args.pid, args.min_change, args.thread, args.function, args.since, args.until)
    log = trace.open_log(choice)
    style = logtext.JSON if args.json else logtext.CSV if args.csv else logtext.PLAIN
    if style == logtext.PLAIN:
        from rich.text import Text

        from pymemtrace.report.console import show

        show([*eventlog.head(trace), Text("")])
    elif facts.left_out(trace.result):
        print(f"pymemtrace: not all is in the log: {facts.left_out(trace.result)}", file=sys.stderr)
    sys.stdout.flush()
    out = sys.stdout.buffer
    out.write({logtext.PLAIN: logtext.PLAIN_HEADER, logtext.CSV: logtext.CSV_HEADER, logtext.JSON: b""}[style])
    logtext.write(log, style, header.shortener(trace, args.full_paths), out)
    return 0
