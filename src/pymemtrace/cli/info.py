"""`pymemtrace info TRACE`: facts about the trace file and the run."""

import argparse
import sys

HELP = "show facts about a trace file: size, processes, threads, engine, losses"
DESCRIPTION = """\
Show facts about a trace file and the run it recorded: format, size and bytes a
fault, completeness, processes and threads, engine and period, what was lost,
how long the program waited for the tracer, the tracer's own memory.
"""
EPILOG = """\
examples:
  pymemtrace info app.pmt
  pymemtrace info app.pmt --json

exit status: 0; 2 if the trace cannot be read (one line on stderr says why).
A trace that was cut off is readable.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `info`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    from pymemtrace.tracefile import TraceFile

    trace = TraceFile(args.trace)
    samples = len(trace.samples())
    if args.json:
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, json_report.info_object(trace, samples))
        return 0
    from pymemtrace.report import info
    from pymemtrace.report.console import show

    show(info.report(trace, samples))
    return 0
