"""`pymemtrace attach PID`: starts tracing in a program that listens."""

import argparse
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace.process.listener import Listener

NAME = "attach"
HELP = "start tracing a running program that listens"
DESCRIPTION = """\
Start tracing a running program, from now on, until `pymemtrace detach`, the
end of the program, or for some seconds.

The program must listen: it has called pymemtrace.listen(), or was started with
`pymemtrace run --paused`. It must be yours, or you must be root.
"""
EPILOG = """\
examples:
  pymemtrace attach 4711                   trace process 4711 until `pymemtrace detach 4711`
  pymemtrace attach 4711 --duration 30     for 30 seconds
  pymemtrace attach 4711 -o now.pmt -f     into now.pmt, which may be there

exit status: 0; 2 if the process cannot be traced (one line on stderr says why).
"""

_LOOK_AGAIN = 0.05


def seconds(text: str) -> float:
    """argparse type: a positive number of seconds."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def pid(text: str) -> int:
    """argparse type: a process number."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a process number")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `attach`."""
    parser.add_argument("pid", metavar="PID", type=pid, help="the process to trace")
    parser.add_argument("--duration", metavar="S", type=seconds, help="stop tracing after S seconds")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where the trace goes (default: pymemtrace-NAME.PID.pmt in the current folder)",
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--exact", action="store_true", help="a signal at every page fault, whatever it costs")
    parser.add_argument(
        "--releases",
        choices=["exact"],
        help="exact: record which line gave memory back, and how much, at some 15 us each time",
    )
    parser.add_argument(
        "--no-follow", action="store_true", help="trace this process alone, not the Python processes it starts"
    )


def run(args: argparse.Namespace) -> int:
    """Attach, and detach again when the time is over."""
    from pymemtrace.process.listener import Listener

    program = Listener(args.pid)
    wanted = {
        "exact": args.exact,
        "overwrite": args.force,
        "alone": args.no_follow,
        "releases": args.releases is not None,
    }
    options = {name: "1" for name, asked in wanted.items() if asked}
    path = os.path.abspath(args.output if args.output is not None else _free_path(program.name, args.pid))
    answer = program.ask("attach", path=path, **options)
    shown = os.path.relpath(path) if args.output is None else args.output
    print(f"tracing process {args.pid} into {shown}", flush=True)
    if answer["reason"]:
        print(f"page faults cannot be traced: {answer['reason']}", flush=True)
    if args.duration is None:
        print(f"next: pymemtrace detach {args.pid}")
        return 0
    _wait(program, args.duration)
    if program.has_ended():
        print(f"process {args.pid} has ended\nnext: pymemtrace report {shown}")
        return 0
    from pymemtrace.cli import detach

    return detach.detach(program, shown)


def _free_path(name: str, number: int) -> str:
    from pymemtrace.process.output import default_path

    serial = 1
    while os.path.exists(default_path(name, number, serial)):
        serial += 1
    return default_path(name, number, serial)


def _wait(program: "Listener", duration: float) -> None:
    """Until the time is over, the process has ended, or Ctrl-C."""
    deadline = time.monotonic() + duration
    try:
        while (left := deadline - time.monotonic()) > 0 and not program.has_ended():
            time.sleep(min(left, _LOOK_AGAIN))
    except KeyboardInterrupt:
        print("interrupted")
