"""What tracing costs: every program bare and traced in the same run, beside the project's targets.

    python bench/compare.py [--python PY] [--programs a,b] [--rounds 5] [--user UID|root] [--engine timer] [--json OUT]

Needs a Python with pymemtrace and bench/requirements.txt installed. Progress goes to stderr when it is a terminal.
Exit status: 0 when everything could be measured, whether or not the targets are met; else 1.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import figures
import machine
import table
from launch import Identity, Launcher, LaunchError, choose_identity, effective_capabilities
from measure import STARTUP_ROUNDS, Bench, Result
from suite import Program, programs

_VERSIONS = "import sys, pymemtrace; print(sys.version.split()[0], pymemtrace.__version__)"


def main() -> int:
    """Measure, print, and say whether that was possible."""
    options = parse_options()
    try:
        chosen = choose_programs(options.programs)
        with prepared(options, chosen, options.engine) as (bench, method):
            progress("start-up")
            startup, moments = bench.startup(), bench.moments()
            results = [measured(bench, program, options) for program in chosen]
    except LaunchError as exc:
        progress("")
        print(f"compare.py: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress("")
        return 130
    progress("")
    found = figures.figures(results, startup, moments)
    if options.json:
        table.write_json(options.json, method, results, startup, found)
    if options.csv:
        table.print_csv(results, startup)
    else:
        table.print_text(method, results, startup, found)
    for reason in figures.untraced(results):
        print(f"compare.py: not traced: {reason}", file=sys.stderr)
    return 1 if figures.untraced(results) else 0


@contextmanager
def prepared(
    options: argparse.Namespace, chosen: list[Program], engine: str | None = None
) -> Iterator[tuple[Bench, dict[str, str]]]:
    """What runs the commands, in a folder that goes afterwards, and how: for the head of what is printed."""
    python = find_python(options.python)
    probe = [python, "-c", f"open({str(chosen[0].path)!r}).close(); {_VERSIONS}"]
    identity = choose_identity(options.user, probe)
    method = describe(options, python, identity, probe)
    with trace_folder(identity) as folder:
        yield Bench(python, Launcher(identity, folder), options.scale, engine), method


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="compare.py", description="Measure what tracing costs, beside the targets.")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="the interpreter (default: this one)")
    parser.add_argument("--programs", metavar="A,B", help="only these programs (default: all)")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="runs of each command (default: 5)")
    parser.add_argument("--user", metavar="UID", help="run the commands as this user: a uid or root (default: as now)")
    parser.add_argument("--exact", action="store_true", help="time --exact as well")
    parser.add_argument("--engine", choices=("timer",), help="measure this engine instead of the best one")
    parser.add_argument("--scale", metavar="N", help="the programs' scale (default: their own; 0: a quick try)")
    parser.add_argument("--json", metavar="OUT", help="write everything, each run included, to this file")
    parser.add_argument("--csv", action="store_true", help="print the programs as CSV, without the figures")
    return parser.parse_args()


def positive(text: str) -> int:
    """An argument that is a number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def choose_programs(names: str | None) -> list[Program]:
    """All programs, or those named."""
    known = programs()
    if names is None:
        return known
    wanted = [name for name in names.split(",") if name]
    unknown = sorted(set(wanted) - {program.name for program in known})
    if unknown or not wanted:
        raise LaunchError(f"no such program: {', '.join(unknown)}; there are {', '.join(p.name for p in known)}")
    return [program for program in known if program.name in wanted]


def find_python(name: str) -> str:
    """The interpreter's absolute path, without following links: a virtual environment's is one."""
    found = shutil.which(name)
    if found is None:
        raise LaunchError(f"{name}: no such interpreter")
    return os.path.abspath(found)


def describe(options: argparse.Namespace, python: str, identity: Identity, probe: list[str]) -> dict[str, str]:
    """Method and machine, for the top of the report."""
    run = Launcher(identity, "/").run(probe)
    if run.status != 0:
        reason = (run.stderr.splitlines() or [f"status {run.status}"])[-1]
        raise LaunchError(f"{python} cannot import pymemtrace ({reason}); install it there: {python} -m pip install .")
    version, own_version = run.stdout.split()
    capabilities = effective_capabilities(identity)
    return {
        "what": f"pymemtrace {own_version} against the bare program, CPython {version}",
        **machine.facts(),
        "user": f"{identity.text}, effective capabilities {capabilities:#x}",
        "method": f"wall clock of the whole command; bare, traced, bare again in turn, {options.rounds} rounds "
        f"(start-up: best of {STARTUP_ROUNDS})",
        "scale": options.scale or "the programs' own",
    }


@contextmanager
def trace_folder(identity: Identity) -> Iterator[str]:
    """A folder for traces that the measured user may write to; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pymemtrace-bench-") as folder:
        if identity.uid is not None:
            os.chown(folder, identity.uid, identity.uid)
        yield folder


def measured(bench: Bench, program: Program, options: argparse.Namespace) -> Result:
    """Measure one program and show progress."""
    progress(program.name)
    return bench.measure(program, options.rounds, options.exact)


def progress(text: str) -> None:
    """One line on a terminal, which the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
