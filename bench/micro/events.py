"""What an event costs, step by step: `python bench/micro/events.py`, in an environment that has pymemtrace.

A hook that does nothing, one that reads the clock, one that writes a record, one that reads RSS besides, and the whole
with a recorder; beside them the least that any such log does (a clock, 8 bytes, RSS). ns an event of recursive fib (a
call and a return each; a line with --lines), and of one that calls a C function too; the best of some runs that are
longer than a lane, each step in a session of its own, against the bare function in the same process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pymemtrace
from pymemtrace import _capture

N, RUNS = 24, 12
STEPS = {"empty hook": 1, "+ clock": 2, "+ record": 3, "+ RSS": 4, "+ recorder": 0, "(the least)": 6}


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def fib_c(n: int) -> int:
    return n if n < 2 else abs(fib_c(n - 1)) + fib_c(n - 2)


def calls_of(n: int) -> int:
    return 1 if n < 2 else 1 + calls_of(n - 1) + calls_of(n - 2)


def seconds(function: Callable[[int], int]) -> float:
    best = float("inf")
    for _ in range(RUNS):
        begin = time.perf_counter()
        function(N)
        best = min(best, time.perf_counter() - begin)
    return best


def measure(function: Callable[[int], int], lines: bool, c_calls: bool, step: int) -> float:
    reason = _capture.hooks_on(lines, c_calls, False, False, [], [], "/none/", step)
    if reason is not None:
        raise SystemExit(f"no hooks: {reason}")
    try:
        return seconds(function)
    finally:
        _capture.hooks_off()


def measure_step(trace: Path, lines: bool, step: int) -> tuple[float, float, float]:
    """Plain, with C calls, and with C calls of a function that calls one."""
    pymemtrace.start(trace, quiet=True)
    try:
        return measure(fib, lines, False, step), measure(fib, lines, True, step), measure(fib_c, lines, True, step)
    finally:
        pymemtrace.stop()


def main() -> None:
    calls = calls_of(N)
    bare, bare_c = seconds(fib), seconds(fib_c)
    print(f"CPython {sys.version.split()[0]}: fib {bare / calls * 1e9:.0f} ns a call without hooks")
    print(f"{'':24}{'fib':>7}{'ns/event':>10}{'C hooks on':>12}{'fib + abs':>11}{'ns/event':>10}")
    with TemporaryDirectory() as folder:
        for lines in (False, True):
            for name, step in STEPS.items():
                events = calls * (3 if lines else 2)
                with_c = events + 2 * (calls // 2)
                plain, hooked, both = measure_step(Path(folder) / f"{lines}{step}.pmt", lines, step)
                label = f"{'lines' if lines else 'calls'}  {name}"
                print(
                    f"{label:24}{plain / bare:>6.2f}x{(plain - bare) / events * 1e9:>10.1f}{hooked / bare:>11.2f}x"
                    f"{both / bare_c:>10.2f}x{(both - bare_c) / with_c * 1e9:>10.1f}"
                )


main()
