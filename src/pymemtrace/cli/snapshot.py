"""`pymemtrace snapshot PID`: has it looked up which pages of a traced program are resident now."""

import argparse
import errno
import time

from pymemtrace.cli.attach import pid

NAME = "snapshot"
HELP = "look up what is resident in a traced program now"
DESCRIPTION = """\
Have the recorder of a running trace look which pages of a process are resident
now. The reports show who has them with --at NAME.

The process must run under `pymemtrace run`, or listen (pymemtrace.listen()) and
be traced. It must be yours, or you must be root.
"""
EPILOG = """\
examples:
  pymemtrace snapshot 4711                 named after the time of day
  pymemtrace snapshot 4711 --name loaded   then: pymemtrace report TRACE.pmt --at loaded

A name is no number, and neither "peak" nor "end", which mean something else to --at.

What allocators hold and have in use can be told by the program alone: it is in the trace where
the program listens, or calls pymemtrace.snapshot() itself.

exit status: 0; 2 if there is no snapshot (one line on stderr says why).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `snapshot`."""
    parser.add_argument("pid", metavar="PID", type=pid, help="the process to look at")
    parser.add_argument("--name", metavar="NAME", type=_name, help="what to call it (default: the time of day)")


def _name(text: str) -> str:
    from pymemtrace.api import check_name
    from pymemtrace.errors import ArgumentError

    try:
        check_name(text)
    except ArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def run(args: argparse.Namespace) -> int:
    """Ask for it, of the recorder where it can be found, else of the program."""
    from pymemtrace.process import request
    from pymemtrace.recording import encodable

    name = encodable(args.name or time.strftime("%H:%M:%S"))
    address = request.address_of(args.pid)
    if address is not None:
        _ask_recorder(address, args.pid, name)
    else:
        _ask_program(args.pid, name)
    print(f"looked at process {args.pid}: snapshot {name!r}")
    return 0


def _ask_recorder(address: str, number: int, name: str) -> None:
    from pymemtrace.api import snapshot_problem
    from pymemtrace.errors import UsageError
    from pymemtrace.process import request

    try:
        error = request.snapshot(address, number, name)
    except OSError as failure:
        raise UsageError(f"process {number} is not being traced any more: {failure.strerror or failure}") from None
    if error == errno.ESRCH:
        raise UsageError(f"process {number} is not being traced")
    if error:
        raise UsageError(f"process {number}: {snapshot_problem(error)}")


def _ask_program(number: int, name: str) -> None:
    from pymemtrace.errors import UsageError
    from pymemtrace.process.listener import Listener

    try:
        program = Listener(number)
    except UsageError as error:
        raise UsageError(f"{error}. A program under `pymemtrace run` needs nothing") from None
    program.ask("snapshot", name=name)
