"""`pymemtrace check TRACE`: whether a trace stays within limits, as an exit status."""

import argparse
import sys
from typing import TYPE_CHECKING

from pymemtrace.cli.log import byte_size
from pymemtrace.cli.report import row_count
from pymemtrace.cli.tree import percent

if TYPE_CHECKING:
    from pymemtrace.compare.limits import Tolerance, Verdict

HELP = "fail when a trace passes limits, or holds more than a baseline: for CI"
DESCRIPTION = """\
Check a trace against limits, and against another trace of the same program.
The exit status is 1 when a limit is passed, with one line for each reason.

  peak    the highest RSS
  growth  RSS at the end less RSS at the start
  owner   what a function, module or file holds when RSS is highest, itself; with
          --total, with all that it called

RSS is the first process's: it is never summed over processes. Owners are those
of all processes of the trace.

With --baseline neither peak nor growth nor what any of the largest functions
holds may be higher than there by more than the tolerance: 5 %, or 1 MiB where
that is more, so that what is tiny does not fail. Owners differ from run to run
where not every fault was recorded: trace both with `pymemtrace run --exact`, or
give several runs of the baseline, whose highest values then count.
"""
EPILOG = """\
examples:
  pymemtrace check app.pmt --max-peak 500MiB --max-growth 20MiB
  pymemtrace check app.pmt --max-owner 'pkg.cache:Cache.put=50MiB'
  pymemtrace check app.pmt --max-owner pkg.cache=80MiB --max-owner __main__=1GiB
  pymemtrace check app.pmt --baseline main.pmt --tolerance 10%
  pymemtrace check app.pmt --baseline main-1.pmt --baseline main-2.pmt
  pymemtrace check app.pmt --max-peak 500MiB --json

exit status: 0 and one line "ok ..." when all limits are kept; 1 when one is
passed; 2 for a trace that cannot be read or options that make no sense (one
line on stderr says why). Warnings, such as an owner that the trace does not
have, are lines on stderr and change nothing.
"""
_PASSED = 1
_LIMIT = 1000  # characters of a line


def owner_limit(text: str) -> tuple[str, int]:
    """argparse type: NAME=SIZE. A name may have "=" in it."""
    name, equals, limit = text.rpartition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SIZE, such as pkg.mod:func=50MiB")
    return name.strip(), byte_size(limit)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check`."""
    parser.add_argument("trace", metavar="TRACE", help="the trace file (*.pmt)")
    parser.add_argument("--max-peak", type=byte_size, metavar="SIZE", help="the highest RSS allowed (500MiB)")
    parser.add_argument(
        "--max-growth", type=byte_size, metavar="SIZE", help="how far RSS at the end may be above RSS at the start"
    )
    parser.add_argument(
        "--max-owner",
        type=owner_limit,
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="what one owner may hold at the peak: module:function, module or file (may be given again and again)",
    )
    parser.add_argument("--total", action="store_true", help="owners with all that they called")
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="FILE",
        help="a trace that this one may not be above; given again and again: above the highest of them",
    )
    parser.add_argument("--tolerance", type=percent, metavar="PERCENT", help="how much more is allowed (default: 5%%)")
    parser.add_argument(
        "--floor", type=byte_size, metavar="SIZE", help="more by up to so much is allowed (default: 1MiB)"
    )
    parser.add_argument(
        "--owners",
        type=row_count,
        metavar="N",
        help="how many of the largest functions to compare with the baseline's, 0: none (default: 10)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object; sizes are bytes")


def run(args: argparse.Namespace) -> int:
    """Check, and say what was found."""
    _require_combination(args)
    from pymemtrace.compare import limits

    asked = limits.Limits(args.max_peak, args.max_growth, tuple(args.max_owner), args.total)
    measured = limits.Measured(args.trace)
    baselines = [limits.Measured(path) for path in args.baseline]
    verdict = limits.check(measured, asked, baselines, _tolerance(args))
    _warn(verdict)
    if args.json:
        from pymemtrace.compare import objects
        from pymemtrace.report import json_report

        json_report.write(sys.stdout, objects.check_object(verdict))
    else:
        _print(verdict)
    return 0 if verdict.ok else _PASSED


def _tolerance(args: argparse.Namespace) -> "Tolerance":
    from pymemtrace.compare.limits import Tolerance

    usual = Tolerance()
    return Tolerance(
        usual.share if args.tolerance is None else args.tolerance / 100,
        usual.floor if args.floor is None else args.floor,
        usual.top if args.owners is None else args.owners,
    )


def _require_combination(args: argparse.Namespace) -> None:
    """Raises UsageError for options that say nothing or contradict each other."""
    from pymemtrace.errors import UsageError

    if args.max_peak is None and args.max_growth is None and not args.max_owner and not args.baseline:
        raise UsageError("check: there is nothing to check: give --max-peak, --max-growth, --max-owner or --baseline")
    for option in ("tolerance", "floor", "owners"):
        if getattr(args, option) is not None and not args.baseline:
            raise UsageError(f"check: --{option} is about a baseline: give --baseline FILE too")
    if args.total and not args.max_owner and not args.baseline:
        raise UsageError("check: --total is about owners: give --max-owner or --baseline too")
    names = [name for name, _limit in args.max_owner]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"check: --max-owner {name} is given twice: which limit holds?")


def _warn(verdict: "Verdict") -> None:
    from pymemtrace.report.text import clip, notice

    sys.stdout.flush()
    for warning in verdict.warnings:
        notice(f"warning: {clip(warning, _LIMIT)}")


def _print(verdict: "Verdict") -> None:
    """One line for each reason, or one that says ok."""
    from pymemtrace.compare import limits
    from pymemtrace.report.text import label
    from pymemtrace.report.units import size

    failed = [finding for finding in verdict.findings if not finding.passed]
    for finding in failed:
        print(label(f"{verdict.trace}: {limits.reason(finding)}", _LIMIT))
    if failed:
        return
    given = [f for f in verdict.findings if f.baseline is None or f.kind != "owner"]
    texts = [f"{limits.value_text(f)} (limit {size(f.limit)})" for f in given]
    owners = len(verdict.findings) - len(given)
    if owners:
        texts.append(f"largest functions ({owners}) not above the baseline")
    if verdict.processes > 1:
        texts.append(f"RSS of the first of {verdict.processes} processes")
    print(label(f"ok {verdict.trace}: {', '.join(texts) or 'no limit applies'}", _LIMIT))
