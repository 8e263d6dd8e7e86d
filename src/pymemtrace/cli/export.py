"""`pymemtrace export --format F TRACE`: the trace in the formats of other tools."""

import argparse
import sys
from typing import TYPE_CHECKING

from pymemtrace.cli.report import add_moment, row_count
from pymemtrace.export.formats import FORMATS, MOMENT, PATHS, TABLE, TABLES, Request

if TYPE_CHECKING:
    from pymemtrace.export.formats import Format
    from pymemtrace.tracefile import TraceFile

HELP = "write a trace in a format of other tools: flame graphs, pprof, Perfetto, tables"
DESCRIPTION = "Write a trace in the format of another tool.\n\n" + "".join(
    f"  {form.name:<11} {form.what}\n{'':<14}for {form.opens}\n" for form in FORMATS.values()
)
EPILOG = """\
tables (--table):
  events      the rows of `pymemtrace log`; of a trace without calls its page
              faults. The default where calls were recorded
  faults      of these rows the page faults
  owners      who holds or touched how much, by line. The default elsewhere
  timeline    RSS over time by what holds it, and the ten owners that held most
  lines       the event log by line of source

examples:
  pymemtrace export --format collapsed app.pmt | flamegraph.pl > app.svg
  pymemtrace export --format speedscope app.pmt -o app.speedscope.json
  pymemtrace export --format csv app.pmt --table owners --at end

exit status: 0; 2 if the trace cannot be read or the export not be written (one
line on stderr says why; no half-written file is left). Of a trace that was cut
off, what is there is exported. The same trace gives the same bytes.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `export`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, metavar="F", help="see above")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default, and `-`: standard output)")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite FILE")
    add_moment(parser, "what was touched, whether given back or not")
    parser.add_argument("--pid", type=row_count, help="only this process (default: all)")
    parser.add_argument("--table", choices=TABLES, help="which table, of the formats that hold tables")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names (of collapsed stacks)")


def run(args: argparse.Namespace) -> int:
    """Write the export."""
    from pymemtrace.cli.report import moment
    from pymemtrace.export import output
    from pymemtrace.tracefile import TraceFile

    form = FORMATS[args.format]
    _check(args, form)
    with output.target(args.output, args.force, args.trace, form.binary, form.name) as out:
        request = Request(TraceFile(args.trace, args.pid), moment(args), args.table, args.full_paths)
        form.writer.write(request, out)
    _tell(request.trace, args.output, form, out.count)
    return 0


def _check(args: argparse.Namespace, form: "Format") -> None:
    """Raises UsageError for options that the format does not take."""
    from pymemtrace.errors import UsageError

    given = {MOMENT: args.at is not None or args.touched, TABLE: args.table is not None, PATHS: args.full_paths}
    for option, used in given.items():
        if used and option not in form.takes:
            raise UsageError(f"export: {option} cannot be used with --format {form.name}")
    if given[MOMENT] and args.table not in (None, "owners"):
        raise UsageError(f"export: {MOMENT} cannot be used with --table {args.table}; only with --table owners")


def _tell(trace: "TraceFile", path: str | None, form: "Format", size_bytes: int) -> None:
    """What is not in the export, and what reads it."""
    from pymemtrace.report import facts
    from pymemtrace.report.text import clean, quote_argument
    from pymemtrace.report.units import size

    notes = [
        facts.left_out(trace.result),
        None if trace.complete else "the trace was cut off: what is there is exported",
    ]
    if path not in (None, "-"):
        then = form.then.format(quote_argument(path)) or f"for {form.opens}"
        notes.append(f"{clean(path)}: {size(size_bytes)}; {then}")
    for note in filter(None, notes):
        print(f"pymemtrace: {note}", file=sys.stderr)
