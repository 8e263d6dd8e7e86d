"""`pymemtrace detach PID`: ends the tracing that `pymemtrace attach` started."""

import argparse
import os

from pymemtrace.cli.attach import pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace.process.listener import Listener

NAME = "detach"
HELP = "stop tracing a program that was attached to"
DESCRIPTION = """\
Stop tracing a program that `pymemtrace attach` traces. The program goes on, and
its trace is complete.
"""
EPILOG = """\
examples:
  pymemtrace detach 4711

exit status: 0; 2 if nothing is attached to the process (one line on stderr says why).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `detach`."""
    parser.add_argument("pid", metavar="PID", type=pid, help="the traced process")


def run(args: argparse.Namespace) -> int:
    """Detach."""
    from pymemtrace.process.listener import Listener

    return detach(Listener(args.pid))


def detach(program: "Listener", shown: str | None = None) -> int:
    """Detach and say what is there now. `shown`: the trace's name as the user knows it."""
    answer = program.ask("detach")
    if shown is None:
        shown = os.path.relpath(answer["path"])
        shown = answer["path"] if shown.startswith("..") else shown
    if answer["running"] == "1":
        print(f"process {program.pid} goes on tracing itself, into {shown}")
        return 0
    if "problem" in answer:
        print(f"the trace {shown} is incomplete: {answer['problem']}")
    else:
        print(f"process {program.pid} is no longer traced: {shown} is complete")
    print(f"next: pymemtrace report {shown}")
    return 0
