"""`pymemtrace live PID` and `pymemtrace live -- PROGRAM`: a screen that shows who holds the memory while it runs."""

import argparse
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace.live.feed import Feed

HELP = "watch a traced program: RSS and who holds it, as it runs"
DESCRIPTION = """\
Show a screen that follows a program which is being traced: RSS over time, who
holds it by line, function or module, threads, processes, and the container's use.

PID is a process under `pymemtrace run` (or its launcher), or one that traces
itself, or was attached to. What stands behind -- is run under `pymemtrace run`:
its options, the program, and the program's arguments. The program then reads
nothing from the terminal, and what it prints there is shown when the screen has
gone, or goes into the file of --log.

keys:
  q   quit: the program goes on, and so does its trace
  s   sort by what is resident, by growth in the last 10 seconds, or by what was
      touched in the whole run
  b   by line, function or module
  p   pause the screen, and go on
  Ctrl-C leaves the screen; behind -- the program gets it too.

The trace is read again every half second, or as seldom as it takes to use no
more than a tenth of a CPU; the last line of the screen says how often.
"""
EPILOG = """\
examples:
  pymemtrace live -- train.py --epochs 3
  pymemtrace live -- -o web.pmt -m http.server 8000
  pymemtrace live --log train.log -- train.py
  pymemtrace run train.py & pymemtrace live $!
  pymemtrace live 4711

exit status: that of the program behind --; with PID 0, or 130 after Ctrl-C; 2 if nothing
can be shown (one line on stderr says why).
"""
_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `live`; the words behind -- are in `args.behind`."""
    parser.usage = """%(prog)s [options] PID
       %(prog)s [options] -- [options of run] PROGRAM [args...]"""
    parser.add_argument("pid", metavar="PID", nargs="?", help="a process that is being traced")
    parser.add_argument("--log", metavar="FILE", help="where the output of the program behind -- goes")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite the FILE of --log")
    parser.add_argument("--full-paths", action="store_true", help="do not shorten file names")


def run(args: argparse.Namespace) -> int:
    """Show the screen."""
    from pymemtrace.errors import UsageError

    if (args.pid is None) == (args.behind is None):
        raise UsageError("live: give either a PID, or -- and a program (see pymemtrace live --help)")
    if args.behind is None and (args.log or args.force):
        option = "--log" if args.log else "--force"
        raise UsageError(f"live: {option} is about the output of a program behind --: leave it out")
    if args.behind is not None:
        return _of_program(args)
    if not args.pid.isdecimal() or int(args.pid) == 0:
        raise UsageError(f"live: {args.pid!r} is no process number; before a program put --: pymemtrace live -- ...")
    return _of_process(args, int(args.pid))


def _of_process(args: argparse.Namespace, number: int) -> int:
    from pymemtrace.live import show, target
    from pymemtrace.live.feed import Feed
    from pymemtrace.live.terminal import Terminal

    terminal = Terminal()
    pid, path, is_first = target.find(number)
    feed = Feed(path, None if is_first else pid)
    why = show.show(terminal, feed, lambda: _is_gone(pid), args.full_paths)
    feed.close()
    return _after(feed, pid, why)


def _after(feed: "Feed", pid: int, why: str) -> int:
    """What is left to say about a process when the screen has gone."""
    from pymemtrace.live import show
    from pymemtrace.process.program import die_of
    from pymemtrace.report.summary import print_summary
    from pymemtrace.report.text import quote_argument

    if why == show.ENDED:
        _wait_for_end(feed.path, pid)
        print_summary(feed.path, sys.stdout)
        return 0
    if why not in (show.QUIT, "SIGINT"):
        return die_of(signal.Signals[why])
    print(f"process {pid} goes on, and so does its trace: pymemtrace report {quote_argument(feed.path)}")
    return _INTERRUPTED if why == "SIGINT" else 0


def _is_gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


def _wait_for_end(path: str, pid: int) -> None:
    """The recorder needs a moment for the end of the file."""
    import time

    from pymemtrace.errors import PymemtraceError
    from pymemtrace.report import load

    for _look in range(20):
        try:
            if load.analyze(path)["complete"] or not _is_gone(pid):
                return
        except PymemtraceError:
            return
        time.sleep(0.1)


def _of_program(args: argparse.Namespace) -> int:
    import traceback

    from pymemtrace.cli import run as run_verb
    from pymemtrace.errors import UsageError
    from pymemtrace.live import show
    from pymemtrace.live.feed import Feed
    from pymemtrace.live.program import Program
    from pymemtrace.live.terminal import Terminal
    from pymemtrace.report.summary import print_summary
    from pymemtrace.report.text import clean

    options = run_verb.parse(list(args.behind))
    if options.paused:
        raise UsageError("live: --paused records nothing that could be shown: leave it out")
    terminal = Terminal()
    words = args.behind if args.log is None else ["-q", *args.behind]
    program = Program(words, args.log, args.force)
    if program.path is None:
        return _end(program.follow())
    feed = Feed(program.path, None)
    try:
        why = show.show(terminal, feed, program.has_ended, args.full_paths)
    except Exception:
        traceback.print_exc()  # a fault of the screen's must not cost the program its run
        why = show.QUIT
    feed.close()
    if feed.problem is not None:
        print(f"pymemtrace: {clean(feed.problem)}", file=sys.stderr)
    if why not in (show.QUIT, show.ENDED, "SIGINT"):
        program.send(signal.Signals[why])
    elif why != show.ENDED and args.log is not None:
        print(f"process {program.traced} goes on; its output goes to {args.log}", flush=True)
    status = program.follow()
    if args.log is not None and not options.quiet:
        print_summary(program.path)
    return _end(status)


def _end(status: int) -> int:
    """As the program ended: its exit status, or its signal."""
    from pymemtrace.process.program import die_of

    return die_of(-status) if status < 0 else status
