"""The command line: `pymemtrace VERB ...`. The first word picks the verb's module and nothing else is imported.

`run` must start fast, so argparse, rich and the reports are loaded only for the verbs that need them. Each verb is a
module here with HELP, DESCRIPTION, EPILOG, `add_arguments(parser)` and `run(args) -> exit status`; `run` has
`main(words)` instead.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

# The one-line help of `run` is kept here: its module is not imported for the help of the others.
RUN_HELP = "run a Python program and record which lines make its memory grow"
_REPORT_VERBS = (
    "report",
    "tree",
    "timeline",
    "html",
    "log",
    "calls",
    "lines",
    "diff",
    "check",
    "info",
    "export",
    "attach",
    "detach",
    "snapshot",
    "live",
    "doctor",
)
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_BROKEN_PIPE = 141  # 128 + SIGPIPE

_DESCRIPTION = """\
Which lines of a Python program made the operating system hand out its memory.

examples:
  pymemtrace run program.py args...      run a program, write pymemtrace-NAME.PID.pmt
  pymemtrace report TRACE.pmt            which lines, functions, modules and threads
  pymemtrace tree TRACE.pmt              the call tree
  pymemtrace timeline TRACE.pmt          RSS over time, and who held it
  pymemtrace html TRACE.pmt              the same and more as a page, for any moment
  pymemtrace calls TRACE.pmt             which functions, after run --calls
  pymemtrace lines TRACE.pmt             the source, line by line, after run --lines
  pymemtrace log TRACE.pmt               every call and return with the RSS
  pymemtrace diff A.pmt B.pmt            what changed from one trace to another
  pymemtrace check TRACE.pmt --max-peak 500MiB   fail when a limit is passed
  pymemtrace export --format F TRACE.pmt for other tools: speedscope, pprof, Arrow ...
  pymemtrace attach PID --duration 30    trace a running program that listens
  pymemtrace snapshot PID                what is resident in a traced program now
  pymemtrace live PID                    watch a traced program as it runs
  pymemtrace live -- program.py args...  run and watch it
  pymemtrace doctor                      what works on this machine, what would unlock more
  pymemtrace VERB --help                 the options of a verb
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status. argv: the words after the program's name."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] == "run":
        status = guarded(lambda: _run(words[1:]))
        if argv is None:
            _leave(status)
        return status
    if argv is None:
        _end_by_signals()
    return _interruptible(lambda: guarded(lambda: _report_verb(words)))


def _end_by_signals() -> None:
    """What ends a report from outside lets it take back what it has begun to write, as Ctrl-C does."""
    import signal

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in signal.SIGTERM, signal.SIGHUP:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def _leave(status: int) -> None:
    """End at once: the user waits for the shell's prompt, and tearing the interpreter down takes 5 ms."""
    import os

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, full or never there
            pass
    os._exit(status)


def _run(words: list[str]) -> int:
    from pymemtrace.cli import run

    return run.main(words)


def _report_verb(words: list[str]) -> int:
    parser = _parser(words[0] if words else "")
    if not words:
        parser.print_help(sys.stderr)
        return 2
    own, behind = _split(words) if words[0] == "live" else (words, None)
    args = parser.parse_args(own)
    args.behind = behind
    verb: Callable[[object], int] = args.run
    return verb(args)


def _split(words: list[str]) -> tuple[list[str], list[str] | None]:
    """The words up to "--" and those behind it, which are not argparse's to read; None: there is none."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :] if at < len(words) else None


def _parser(chosen: str) -> "ArgumentParser":
    """The parser with the chosen verb's options; the other verbs need only their names."""
    import importlib
    from argparse import RawDescriptionHelpFormatter

    from pymemtrace import __version__
    from pymemtrace.cli.parser import Parser

    parser = Parser(
        prog="pymemtrace", description=_DESCRIPTION, formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"pymemtrace {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    verbs.add_parser("run", help=RUN_HELP, add_help=False)
    for name in _REPORT_VERBS if chosen not in _REPORT_VERBS else (chosen,):
        module = importlib.import_module(f"pymemtrace.cli.{name}")
        sub = verbs.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def guarded(action: "Callable[[], int]") -> int:
    """Run an action; pymemtrace's own errors become one line on stderr."""
    try:
        return action()
    except Exception as exc:
        # Imported here: a run that goes well does not need it.
        from pymemtrace.errors import PymemtraceError

        if not isinstance(exc, PymemtraceError):
            raise
        sys.stdout.flush()
        return _refuse(str(exc), exc.exit_status)


def _refuse(text: str, status: int = 2) -> int:
    from pymemtrace.report.text import notice

    notice(text)
    return status


def _interruptible(action: "Callable[[], int]") -> int:
    """Run a report: a reader that closes the pipe (`| head`) and Ctrl-C end it quietly, a full disk with one line."""
    if sys.stdout is None:
        return _refuse("standard output is closed; open it, or send it to /dev/null")
    try:
        _tolerate_encoding()
        status = action()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _discard_stdout()
        return _BROKEN_PIPE
    except OSError as error:
        if error.filename is not None:  # not of writing what is open
            raise
        _discard_stdout()
        return _refuse(f"standard output cannot be written: {error.strerror}; free some space, or send it elsewhere")
    except KeyboardInterrupt:
        return _INTERRUPTED
    except SystemExit as exc:
        # argparse ends --help, --version and wrong options this way; the status must be returned like any other.
        return exc.code if isinstance(exc.code, int) else 0


def _tolerate_encoding() -> None:
    """A name that the output's encoding lacks is printed as an escape, not a traceback."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    """Let the interpreter's own flush at exit find a place to write to."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is no real file
        pass
    finally:
        os.close(null)
