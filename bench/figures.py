"""Sets the measurements against the targets.

A ratio is the median over the rounds, its noise twice the standard error of that median; a target is met if it holds
within the noise.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median, stdev

from measure import Moments, Result, Startup
from suite import KIB, MIB, TARGETS, ratio_target

MIN_RECORDS = 1_000  # below that the trace's fixed part (modules, code objects) drowns the bytes of a fault


@dataclass(frozen=True)
class Figure:
    """One promise: what was measured, its limit and the noise, all in `unit`. measured None: nothing to measure."""

    name: str
    target: float
    measured: float | None
    noise: float = 0.0
    unit: str = "x"
    detail: str = ""

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "MISS (not measured)"
        if self.measured <= self.target:
            return "ok"
        return "ok (within noise)" if self.measured - self.noise <= self.target else "MISS"


def figures(results: list[Result], startup: Startup, moments: Moments) -> list[Figure]:
    """Every promise of which something was measured, in the order of the targets."""
    found = [
        *_ratios(results),
        _startup(startup),
        *_moments(moments),
        *_recorder(results),
        _tracer_pages(results),
        *_file(results),
    ]
    return [_engine_checked(figure, results) for figure in found]


def ratio_figure(result: Result) -> Figure:
    """The ratio of one program."""
    return Figure(result.program.name, ratio_target(result.program), median(result.ratios), noise=error(result.ratios))


def error(values: list[float]) -> float:
    """Twice the standard error of the median of normally distributed values; 0 for a single one."""
    return 2 * math.sqrt(math.pi / 2) * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def geomean_by_round(ratios: list[list[float]]) -> list[float]:
    """The geometric mean over programs, for each round: [program][round] to [round]."""
    return [geomean(of_round) for of_round in zip(*ratios, strict=True)]


def geomean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def untraced(results: list[Result]) -> list[str]:
    """Why programs ran without an engine: one line for each reason."""
    reasons = {
        trace.reason or trace.engine
        for result in results
        for trace in (result.trace, result.exact_trace)
        if trace is not None and trace.engine not in ("faults", "timer")
    }
    return sorted(reasons)


def _engine_checked(figure: Figure, results: list[Result]) -> Figure:
    """Without the engine a low cost means nothing."""
    if not untraced(results):
        return figure
    return Figure(figure.name, figure.target, None, unit=figure.unit, detail="some programs were not traced")


def _ratios(results: list[Result]) -> list[Figure]:
    found = []
    real = [result for result in results if result.program.real]
    if real:
        means = geomean_by_round([result.ratios for result in real])
        name = f"geometric mean of {len(real)} real programs"
        timer = any(result.trace and result.trace.engine == "timer" for result in real)
        target = TARGETS.timer if timer else TARGETS.geomean
        found.append(Figure(name, target, median(means), error(means)))
        best_mean = geomean(result.best_ratio for result in real)
        found.append(Figure("the same, best against best", target, best_mean))
        worst = max(map(ratio_figure, real), key=lambda figure: figure.measured or 0)
        found.append(replace(worst, name="highest of them", detail=worst.name))
    return found + [ratio_figure(result) for result in results if not result.program.real]


def _startup(startup: Startup) -> Figure:
    detail = f"{startup.traced_s * 1e3:.1f} over {startup.bare_s * 1e3:.1f} ms"
    return Figure("start-up", TARGETS.startup_ms, startup.added_s * 1e3, startup.noise_s * 1e3, "ms", detail)


def _moments(moments: Moments) -> list[Figure]:
    return [
        Figure("added to each of 1,000 forks", TARGETS.fork_ms, moments.fork_s * 1e3, unit="ms"),
        Figure("trace complete after the end", TARGETS.complete_ms, moments.complete_s * 1e3, unit="ms"),
    ]


def _recorder(results: list[Result]) -> list[Figure]:
    watched = [result for result in results if result.recorder.peak is not None]
    if not watched:
        return [Figure("recorder's anonymous memory", TARGETS.recorder_bytes / MIB, None, unit="MiB")]
    peak = max(watched, key=lambda result: result.recorder.peak or 0)
    found = [
        Figure(
            "recorder's anonymous memory",
            TARGETS.recorder_bytes / MIB,
            (peak.recorder.peak or 0) / MIB,
            unit="MiB",
            detail=peak.program.name,
        )
    ]
    sloped = [result for result in watched if result.recorder.slope is not None]
    if sloped:
        steep = max(sloped, key=lambda result: result.recorder.slope or 0)
        rate = (steep.recorder.slope or 0) / KIB
        growth = TARGETS.recorder_growth / KIB
        found.append(Figure("its growth, second half", growth, rate, unit="KiB/s", detail=steep.program.name))
    return found


def _tracer_pages(results: list[Result]) -> Figure:
    """The program that comes closest to its limit, which depends on its threads."""

    def limit(result: Result) -> int:
        threads = result.trace.threads if result.trace else 1
        return TARGETS.tracer_bytes + threads * TARGETS.tracer_thread_bytes

    def used(result: Result) -> int:
        return result.trace.tracer_bytes if result.trace else 0

    worst = max(results, key=lambda result: used(result) / limit(result))
    threads = worst.trace.threads if worst.trace else 1
    detail = f"{worst.program.name}, {threads} thread{'s' * (threads != 1)}"
    return Figure("memory added to the program", limit(worst) / MIB, used(worst) / MIB, unit="MiB", detail=detail)


def _file(results: list[Result]) -> list[Figure]:
    sizes = [
        (trace.bytes_per_record or 0, result.program.name)
        for result in results
        if result.program.deep and (trace := result.exact_trace) is not None and trace.records >= MIN_RECORDS
    ]
    if not sizes:
        return []
    size, name = max(sizes)
    return [Figure("trace, bytes a fault, deep stacks", TARGETS.bytes_per_fault, size, unit="B", detail=name)]
