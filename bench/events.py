"""What the event log costs: every program bare and with each kind of events, in the same run, beside the targets.

    python bench/events.py [--python PY] [--programs a,b] [--rounds 3] [--modes "python calls,lines"] [--user UID|root]

The method is that of compare.py: bare, traced, bare again in turn; the ratio is the median over the rounds. The fault
engine is on and the recorder writes. Between them runs the program with hooks that do nothing: what the interpreter
takes for telling; with the least hooks of any log that promises what ours does: they read the clock, write 8 bytes, and
RSS is read every 20 us; and with the fault engine alone. The least hooks and what the fault engine adds are the floor
of the mode. Exit status: 0 when everything could be measured.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import table
from compare import choose_programs, positive, prepared, progress
from figures import Figure, error, geomean_by_round
from launch import LaunchError, Run
from measure import Bench, over_neighbours
from recorder_memory import RecorderMemory
from suite import (
    EVENT_MODES,
    EVENT_RECORDER_BYTES,
    EVENT_TRACER_BYTES,
    EVENT_TRACER_THREAD_BYTES,
    MIB,
    EventMode,
    Program,
)

LEFT_OUT = ("threads", "touch")  # their cost is that of page faults


@dataclass
class Measured:
    """One program in one mode."""

    program: Program
    mode: EventMode
    bare: list[Run] = field(default_factory=list)
    again: list[Run] = field(default_factory=list)
    empty: list[Run] = field(default_factory=list)  # with hooks that do nothing, and nothing else
    least: list[Run] = field(default_factory=list)  # with hooks that do the least, and nothing else
    faults: list[Run] = field(default_factory=list)  # with the fault engine and no hooks
    traced: list[Run] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    file_bytes: int = 0
    recorder: RecorderMemory = field(default_factory=RecorderMemory)

    @property
    def ratios(self) -> list[float]:
        return over_neighbours(self, self.traced)

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def empty_ratios(self) -> list[float]:
        return over_neighbours(self, self.empty)

    @property
    def floors(self) -> list[float]:
        """The least hooks and what the fault engine adds, a round each."""
        least, faults = (over_neighbours(self, runs) for runs in (self.least, self.faults))
        return [hooks + engine - 1 for hooks, engine in zip(least, faults, strict=True)]

    def counter(self, name: str) -> int:
        return sum(process["counters"].get(name, 0) for process in self.info["processes"])

    @property
    def events(self) -> int:
        return self.counter("events")

    @property
    def bytes_per_event(self) -> float:
        return self.file_bytes / max(1, self.events)

    @property
    def tracer_bytes(self) -> int:
        return self.counter("tracer_pages") * int(self.info["page_size"])


def main() -> int:
    """Measure and print."""
    options = parse_options()
    try:
        chosen = [program for program in choose_programs(options.programs) if program.name not in LEFT_OUT]
        modes = [mode for mode in EVENT_MODES if options.modes is None or mode.name in options.modes.split(",")]
        with prepared(options, chosen) as (bench, method):
            found = [measure(bench, program, mode, options.rounds) for mode in modes for program in chosen]
    except LaunchError as exc:
        print(f"events.py: {exc}", file=sys.stderr)
        return 1
    progress("")
    for key, value in method.items():
        print(f"{key:9} {value}")
    for mode in modes:
        print_mode(mode, [measured for measured in found if measured.mode is mode])
    return 0


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="events.py", description="Measure what the event log costs.")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="the interpreter (default: this one)")
    parser.add_argument("--programs", metavar="A,B", help="only these programs (default: all)")
    parser.add_argument("--modes", metavar="A,B", help=f"only these: {', '.join(mode.name for mode in EVENT_MODES)}")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="runs of each command (default: 3)")
    parser.add_argument("--user", metavar="UID", help="run the commands as this user: a uid or root (default: as now)")
    parser.add_argument("--scale", metavar="N", help="the programs' scale (default: their own; 0: a quick try)")
    return parser.parse_args()


def measure(bench: Bench, program: Program, mode: EventMode, rounds: int) -> Measured:
    """Bare, with bare hooks, traced and bare again in turn; the last trace is looked at."""
    progress(f"{mode.name}: {program.name}")
    result = Measured(program, mode)
    variants = [
        (result.bare, bench.bare(program.path)),
        (result.empty, bench.bare_hooks(1, program.path, mode)),
        (result.least, bench.bare_hooks(6, program.path, mode)),
        (result.faults, bench.traced(program.path)),
        (result.traced, bench.traced(program.path, *mode.options)),
        (result.again, bench.bare(program.path)),
    ]
    bench.launcher.check(variants[0][1])
    for _ in range(rounds):
        for runs, command in variants:
            runs.append(bench.launcher.check(command))
    bench.launcher.check(bench.traced(program.path, *mode.options), result.recorder.watch)
    result.info = json.loads(bench.launcher.check(bench.cli("info", str(bench.trace_path), "--json")).stdout)
    result.file_bytes = os.path.getsize(bench.trace_path)
    bench.trace_path.unlink()
    return result


def print_mode(mode: EventMode, found: list[Measured]) -> None:
    """A row a program, then the figures."""
    head = [
        "program",
        "bare s",
        "empty hooks",
        "floor",
        "traced",
        "±",
        "M events",
        "M/s",
        "B/event",
        "waits",
        "wait ms",
        "lost",
        "recorder MiB",
    ]
    print(f"\n{mode.name}: {' '.join(mode.options)}")
    table.print_grid([head, *(_row(measured) for measured in found)])
    print()
    lines = [["figure", "target", "measured", "noise", "", ""]]
    table.print_grid(lines + [table.figure_cells(figure) for figure in mode_figures(mode, found)])


def _row(measured: Measured) -> list[str]:
    bare = min(run.wall_s for run in measured.bare)
    return [
        measured.program.name,
        f"{bare:.2f}",
        f"{median(measured.empty_ratios):.3f}",
        f"{median(measured.floors):.3f}",
        f"{measured.ratio:.3f}",
        f"{error(measured.ratios):.3f}",
        f"{measured.events / 1e6:.1f}",
        f"{measured.events / 1e6 / min(run.wall_s for run in measured.traced):.1f}",
        f"{measured.bytes_per_event:.2f}",
        str(measured.counter("event_waits")),
        f"{measured.counter('event_wait_ns') / 1e6:.0f}",
        str(measured.counter("events_lost")),
        f"{(measured.recorder.peak or 0) / MIB:.1f}",
    ]


def mode_figures(mode: EventMode, found: list[Measured]) -> list[Figure]:
    """The promises about this mode of which something was measured."""
    real, fib = [m for m in found if m.program.real], [m for m in found if m.program.name == "fib"]
    figures_found: list[Figure] = []
    if real:
        means = geomean_by_round([measured.ratios for measured in real])
        empty = median(geomean_by_round([measured.empty_ratios for measured in real]))
        floor = median(geomean_by_round([measured.floors for measured in real]))
        name = f"geometric mean of {len(real)} real programs"
        figures_found.append(Figure(name, mode.geomean, median(means), error(means), detail=below(empty, floor)))
        worst = max(real, key=lambda measured: measured.ratio)
        figures_found.append(_ratio(worst, "highest of them", mode.each, f"{worst.program.name}, "))
    figures_found += [_ratio(measured, "fib", mode.fib) for measured in fib]
    many = [measured for measured in found if measured.events >= 1_000_000]
    if many:
        total = sum(measured.file_bytes for measured in many) / sum(measured.events for measured in many)
        figures_found.append(Figure("bytes an event, all programs", mode.bytes_per_event, total, unit="B"))
    peak = max(found, key=lambda measured: measured.recorder.peak or 0)
    limit = EVENT_RECORDER_BYTES / MIB
    figures_found.append(
        Figure(
            "recorder's anonymous memory", limit, (peak.recorder.peak or 0) / MIB, unit="MiB", detail=peak.program.name
        )
    )
    figures_found.append(_tracer_memory(found))
    return figures_found


def below(empty: float, floor: float) -> str:
    """What stands below a figure."""
    return f"empty hooks {empty:.3f}, floor {floor:.3f}"


def _ratio(measured: Measured, name: str, target: float, detail: str = "") -> Figure:
    detail += below(median(measured.empty_ratios), median(measured.floors))
    return Figure(name, target, measured.ratio, error(measured.ratios), detail=detail)


def _tracer_memory(found: list[Measured]) -> Figure:
    def limit(measured: Measured) -> int:
        return EVENT_TRACER_BYTES + max(1, len(measured.info["by_thread"])) * EVENT_TRACER_THREAD_BYTES

    worst = max(found, key=lambda measured: measured.tracer_bytes / limit(measured))
    return Figure(
        "memory added to the program",
        limit(worst) / MIB,
        worst.tracer_bytes / MIB,
        unit="MiB",
        detail=worst.program.name,
    )


if __name__ == "__main__":
    sys.exit(main())
