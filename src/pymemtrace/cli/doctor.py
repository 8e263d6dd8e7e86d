"""`pymemtrace doctor`: what works on this machine, and what would unlock more."""

import argparse
import sys

HELP = "show what tracing can do on this machine and what would unlock more"
DESCRIPTION = """\
Show what tracing can do here, for this user and this Python: the kernel, what it
permits, the container and its memory limit, the interpreter and its allocator,
limits and disk. Then each engine is tried in a child process: whether it works,
why not, and the command or container flag that would unlock it.

  ok       nothing stands in the way
  limited  tracing works, with less
  bad      something cannot work
  unknown  could not be read

Run it where the program runs: inside its container, as its user.
"""
EPILOG = """\
examples:
  pymemtrace doctor
  pymemtrace doctor --json | python -m json.tool
  docker run --rm IMAGE pymemtrace doctor

exit status: 0, whatever was found; 2 for a wrong option.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `doctor`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Print what was found."""
    from pymemtrace.doctor import diagnose
    from pymemtrace.report import doctor

    found = diagnose()
    if args.json:
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, doctor.json_object(found))
        return 0
    from pymemtrace.report.console import show

    show(doctor.report(found))
    return 0
