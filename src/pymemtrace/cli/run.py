"""`pymemtrace run`: runs a program, with its recorder beside it, and says at the end what its memory was used for.

This process is the program's parent and ends as the program does. Start-up time counts here: nothing is imported
before the program runs that is not needed to start it.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from pymemtrace.process.program import Program
    from pymemtrace.process.recorder import Recorder

HELP = """\
usage: pymemtrace run [options] PROGRAM.py [args...]
       pymemtrace run [options] -m MODULE [args...]
       pymemtrace run [options] -c CODE [args...]

Run a Python program as `python` would and record at which line each page of its memory came in.
Everything after the program belongs to the program. Its exit status, or fatal signal, is ours.

options:
  -o, --output FILE   where the trace goes (default: pymemtrace-NAME.PID.pmt in the current folder)
  -f, --force         overwrite FILE
  -q, --quiet         no notices and no summary: nothing is analysed when the program has ended
      --max-size SIZE the trace file grows no larger (64k, 10MiB, 1G ...): what comes later is only counted
      --exact         a signal at every page fault, whatever it costs (default: one in up to 256 where
                      tracing would cost more than a few per cent of the run time)
      --releases exact
                      record which line gave memory back to the system, and how much: each munmap, madvise
                      and brk then costs some 15 us; given up where that is more than 2 % of the run time
      --no-snapshots  never look which pages are there: reports then say what was touched, and of what
                      is resident an upper bound
      --no-follow     trace this process alone, not the Python processes it starts
      --engine ENGINE how memory is given to lines: faults (page faults, exact), timer (the growth
                      between ticks of a few ms, approximate; works where the kernel refuses page
                      faults) or none (RSS over time only). Default: the best that the kernel allows
      --python-malloc malloc
                      run the program without Python's own pools of small objects: freed memory then goes
                      back earlier, and RSS follows objects more closely
      --paused        trace nothing until `pymemtrace attach PID`; writes no trace of its own
  -h, --help          this text

the event log, read with `pymemtrace log`, `calls` and `lines`:
      --calls         record each call and return, of Python and C functions, with RSS at that moment
      --lines         record each line too; implies --calls
      --no-c-calls    leave out C functions, which about halves the cost
      --include PATTERN, --exclude PATTERN
                      record (do not record) the events of code whose module, file or qualified name
                      matches; with * ? [] as in a shell, or a module with all below it, a function, a
                      class, a file or a folder. May be repeated. Code that is left out costs next to nothing
      --rss WHEN      tracked: read RSS after page faults and at least every 20 us of running code (default);
                      every: at each event, which costs about a microsecond each
      --drop          lose events, counted, rather than let the program wait for the recorder

examples:
  pymemtrace run train.py --epochs 3
  pymemtrace run -o web.pmt -m http.server 8000
  pymemtrace run -q -f -o ci.pmt -m pytest tests
  pymemtrace run --lines --include mypackage -m mypackage
"""

_FLAGS = {
    "-f": "force",
    "--force": "force",
    "-q": "quiet",
    "--quiet": "quiet",
    "--exact": "exact",
    "--no-follow": "alone",
    "--no-snapshots": "unseen",
    "--paused": "paused",
    "--calls": "calls",
    "--lines": "lines",
    "--no-c-calls": "no_c_calls",
    "--drop": "drop",
}
_VALUES = {
    "-o": "output",
    "--output": "output",
    "--max-size": "max_size",
    "--engine": "engine",
    "--include": "include",
    "--exclude": "exclude",
    "--rss": "rss",
    "--python-malloc": "python_malloc",
    "--releases": "releases",
}
_KIND_FLAGS = {"module": ["-m"], "code": ["-c"]}
_ENGINES = ("faults", "timer", "none")
_LEAST_SIZE = 64 << 10  # PMT_WRITER_LIMIT_MIN in core/format/writer.h


class _Options:
    """What was asked for: kind script, module or code; target what to run."""

    def __init__(self) -> None:
        self.output: str | None = None
        self.force = self.quiet = self.exact = self.alone = self.unseen = self.paused = False
        self.calls = self.lines = self.no_c_calls = self.drop = False
        self.include: list[str] = []
        self.exclude: list[str] = []
        self.rss: str | None = None
        self.python_malloc: str | None = None
        self.releases: str | None = None
        self.max_size = 0  # bytes; 0: no limit
        self.engine: str | None = None
        self.kind = self.target = ""
        self.arguments: list[str] = []


def _usage(message: str) -> Exception:
    from pymemtrace.errors import UsageError

    return UsageError(f"run: {message} (see pymemtrace run --help)")


def _value(words: list[str], option: str) -> str:
    if not words:
        raise _usage(f"{option} needs a value")
    return words.pop(0)


def _size(text: str) -> int:
    from pymemtrace.report.units import parse_size, size

    try:
        value = parse_size(text)
    except ValueError as error:
        raise _usage(f"--max-size: {error}") from None
    if value < _LEAST_SIZE:
        raise _usage(f"--max-size {text}: a trace needs at least {size(_LEAST_SIZE)}")
    if value >= 1 << 63:
        raise _usage(f"--max-size {text}: no file is that large")
    return value


def _pattern(text: str) -> str:
    """As it is matched: a relative path is one of the current folder's."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _usage(f"{text!r} is no text: name what is meant by a pattern") from None
    if not text or "\0" in text:
        raise _usage("--include and --exclude need a pattern")
    if "/" in text and text[0] not in "/*?[":
        path = os.path.normpath(os.path.join(os.getcwd(), text))
        return f"{path}/" if text.endswith("/") else path
    return text


def _take(options: _Options, name: str, value: str) -> None:
    """An option with a value."""
    if name == "max_size":
        options.max_size = _size(value)
    elif name in ("include", "exclude"):
        getattr(options, name).append(_pattern(value))
    else:
        setattr(options, name, value)


def parse(words: list[str]) -> _Options:
    """Options up to the program; the rest is the program's. argparse cannot stop there, and costs 8 ms."""
    options = _Options()
    while words:
        word = words.pop(0)
        if word in _FLAGS:
            setattr(options, _FLAGS[word], True)
        elif word in _VALUES:
            _take(options, _VALUES[word], _value(words, word))
        elif word.startswith("--") and word.partition("=")[0] in _VALUES and "=" in word:
            name, _, value = word.partition("=")
            _take(options, _VALUES[name], value)
        elif word in ("-m", "-c"):
            options.kind = "module" if word == "-m" else "code"
            options.target = _value(words, word)
            break
        elif word.startswith("-") and len(word) > 2 and not word.startswith("--") and word[1] in "fq":
            words[:0] = [word[:2], f"-{word[2:]}"]  # -fq
        elif word == "--":
            options.kind, options.target = "script", _value(words, word)
            break
        elif word.startswith("-") and word != "-":
            raise _usage(f"no such option: {word}")
        else:
            options.kind, options.target = "script", word
            break
    if options.engine not in (None, *_ENGINES):
        raise _usage(f"no such engine: {options.engine}; choose {', '.join(_ENGINES[:-1])} or {_ENGINES[-1]}")
    if options.exact and options.engine not in (None, "faults"):
        raise _usage(f"--exact is about page faults and --engine {options.engine} records none: leave one of them out")
    if options.releases not in (None, "exact"):
        raise _usage(f"--releases {options.releases}: exact is the one to choose")
    if options.releases and options.engine not in (None, "faults"):
        raise _usage(
            f"--releases exact takes the page faults' signals and --engine {options.engine} has none: "
            "leave one of them out"
        )
    _check_events(options)
    if options.paused:
        _check_paused(options)
    if not options.target:
        raise _usage("name a program to run: a script, -m MODULE or -c CODE")
    options.arguments = words
    return options


def _check_events(options: _Options) -> None:
    """What is said of events needs some."""
    options.calls = options.calls or options.lines
    asked = {
        "--no-c-calls": options.no_c_calls,
        "--include": options.include,
        "--exclude": options.exclude,
        "--rss": options.rss,
        "--drop": options.drop,
    }
    for name, value in asked.items():
        if value and not options.calls:
            raise _usage(f"{name} is about the event log: give --calls or --lines with it")
    if options.rss not in (None, "tracked", "every"):
        raise _usage(f"--rss {options.rss}: choose tracked or every")
    if options.python_malloc not in (None, "malloc"):
        raise _usage(f"--python-malloc {options.python_malloc}: malloc is the one to choose")
    if options.python_malloc and sys.flags.ignore_environment:
        raise _usage("--python-malloc sets PYTHONMALLOC, which an interpreter started with -E or -I ignores")


def _check_paused(options: _Options) -> None:
    """What is said of a trace is attach's to say."""
    asked = {
        "--output": options.output,
        "--force": options.force,
        "--exact": options.exact,
        "--no-follow": options.alone,
        "--releases": options.releases,
    }
    if options.calls:
        raise _usage(
            f"--paused and --{'lines' if options.lines else 'calls'} contradict each other: attach records no events"
        )
    if options.unseen:
        raise _usage("--paused and --no-snapshots contradict each other: attach takes snapshots")
    for name, value in asked.items():
        if value:
            raise _usage(f"--paused and {name} contradict each other: give {name} to pymemtrace attach")


def _check_script(options: _Options) -> None:
    """A program that is not there is our user's mistake, told before anything starts."""
    if options.kind != "script":
        return
    from pymemtrace.errors import UsageError

    try:
        if os.path.isdir(options.target):
            os.stat(os.path.join(options.target, "__main__.py"))
        else:
            os.close(os.open(options.target, os.O_RDONLY))
    except OSError as error:
        raise UsageError(f"cannot run {options.target}: {error.strerror}") from None


def _default_name(options: _Options, pid: int) -> str:
    from pymemtrace.process.output import default_path

    name = options.target
    if options.kind == "code":
        name = "code"
    elif options.kind == "script":
        name = os.path.basename(os.path.abspath(name)).removesuffix(".py")
    return default_path(name, pid)


def _create(options: _Options, pid: int) -> tuple[str, int]:
    """The trace's file, new and ours alone: its name and descriptor.

    Raises UsageError for a name that is wrong, OSError where the machine does not allow it.
    """
    import stat

    from pymemtrace.errors import UsageError
    from pymemtrace.process.output import FORBIDDEN, TROUBLE, create

    path = options.output if options.output is not None else _default_name(options, pid)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
            # The program would wait for whoever reads a pipe, and no report reads anything but a file.
            raise UsageError(f"{path} is a pipe or a device: name a regular file with -o")
    except OSError:
        pass  # it is to be made
    try:
        return path, create(path, options.force)
    except FileExistsError:
        raise UsageError(f"{path} exists: overwrite it with -f, or name another file with -o") from None
    except OSError as error:
        if error.errno in TROUBLE + FORBIDDEN:
            raise
        raise UsageError(f"cannot write {path}: {error.strerror}; name another file with -o") from None


def _notice(text: str) -> None:
    try:
        sys.stderr.write(f"pymemtrace: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # a closed stderr must not cost the program its run


def main(words: list[str], started: "Callable[[str, int], None] | None" = None) -> int:
    """Run a program; returns its exit status, or ends by the signal that ended it.

    started: called with the trace's name and the program's pid when it runs.
    """
    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    options = parse(list(words))
    _check_script(options)
    status, signal_number = _run(options, started)
    if signal_number is not None:
        from pymemtrace.process.program import die_of

        return die_of(signal_number)
    assert status is not None
    return status


def _run(options: _Options, started: "Callable[[str, int], None] | None" = None) -> tuple[int | None, int | None]:
    from pymemtrace.process.program import Program
    from pymemtrace.process.recorder import EXIT, SIGNAL

    if options.python_malloc:
        os.environ["PYTHONMALLOC"] = options.python_malloc
    try:
        program = Program()
    except OSError as error:
        _run_untraced(options, error)
    if options.paused:
        return _run_paused(options, program)
    try:
        path, output = _create(options, program.pid)
        recorder = _record(options, path, output)
    except OSError as error:
        program.cancel()
        _run_untraced(options, error)
    except Exception:
        program.cancel()
        raise
    _start(options, program, path, recorder)
    _describe(recorder, options)
    if started is not None:
        started(path, program.pid)
    status, signal_number = program.wait()
    left = recorder.finish(EXIT, status) if status is not None else recorder.finish(SIGNAL, signal_number or 0)
    if left.problem is not None:
        _notice(f"the trace is incomplete: {left.problem}")
    if left.processes and not options.quiet:
        _notice(f"{left.processes} of its processes still run: {path} grows until they end")
    if not options.quiet:
        _summarise(path)
    return status, signal_number


def _run_paused(options: _Options, program: "Program") -> tuple[int | None, int | None]:
    """No recorder: the program only listens."""
    if not options.quiet:
        _notice(f"process {program.pid} runs untraced until `pymemtrace attach {program.pid}`")
    words = "paused,quiet" if options.quiet else "paused"
    try:
        program.start("-", words, options.kind, options.target, options.arguments)
    except OSError as error:
        from pymemtrace.errors import PymemtraceError

        raise PymemtraceError(f"cannot start {error.filename or sys.executable}: {error.strerror}") from None
    return program.wait()


def _summarise(path: str) -> None:
    from pymemtrace.report.summary import print_summary

    try:
        if sys.stderr is not None:
            print_summary(path)
    except (OSError, ValueError):
        pass  # a closed stderr must not change the exit status


def _record(options: _Options, path: str, output: int) -> "Recorder":
    """Start the recorder; where that fails (OSError) no file stays behind."""
    from pymemtrace.process.recorder import Recorder

    try:
        return Recorder(output, options.max_size)
    except OSError:
        os.unlink(path)
        raise


def _start(options: _Options, program: "Program", path: str, recorder: "Recorder") -> None:
    """Let the program run."""
    words = [word for word in ("exact", "quiet", "alone", "unseen") if getattr(options, word)]
    words += [options.engine] if options.engine else []
    words += ["releases"] if options.releases else []
    words += _event_words(options)
    if not options.quiet:
        _notice(f"recording to {path}")
    try:
        program.start(recorder.address, ",".join(words), options.kind, options.target, options.arguments)
    except OSError as error:
        from pymemtrace.errors import PymemtraceError

        os.unlink(path)
        raise PymemtraceError(f"cannot start {error.filename or sys.executable}: {error.strerror}") from None


def _event_words(options: _Options) -> list[str]:
    """What _inside.py's wanted_events() reads. The words are joined with commas, and told to children with a space."""
    if not options.calls:
        return []
    switches = {"no-c-calls": options.no_c_calls, "rss-every": options.rss == "every", "drop": options.drop}
    words = ["lines" if options.lines else "calls", *(word for word, on in switches.items() if on)]
    for kind, patterns in (("include", options.include), ("exclude", options.exclude)):
        escaped = (text.replace("%", "%25").replace(",", "%2C").replace(" ", "%20") for text in patterns)
        words += [f"{kind}={text}" for text in escaped]
    return words


def _run_untraced(options: _Options, error: OSError) -> "NoReturn":
    """Become the program: no room for a recorder is no reason not to run it."""
    import errno

    from pymemtrace.process.program import become_program

    remedies = {errno.EMFILE: "raise RLIMIT_NOFILE (ulimit -n)", errno.EAGAIN: "raise RLIMIT_NPROC (ulimit -u)"}
    remedy = remedies.get(error.errno or 0)
    problem = error.strerror or str(error)
    if error.filename is not None and not remedy:
        problem, remedy = f"cannot write {error.filename}: {problem}", "name a file in another folder with -o"
    _notice(f"nothing is recorded, the program runs untraced: {problem}" + (f"; {remedy}" if remedy else ""))
    become_program([*_KIND_FLAGS.get(options.kind, []), options.target, *options.arguments])


def _describe(recorder: "Recorder", options: _Options) -> None:
    """Tell the recorder what a reader wants to know about the run."""
    from pymemtrace.process.recorder import facts

    for key, value in facts([*_KIND_FLAGS.get(options.kind, []), options.target, *options.arguments]).items():
        recorder.meta(key, value)
