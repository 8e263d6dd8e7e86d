"""What residency snapshots cost on top of the fault engine: every program with and without them, in the same run.

    python bench/snapshots.py [--python PY] [--programs a,b] [--rounds 5] [--user UID|root] [--scale N]

A program runs traced without snapshots, with them, and without again, in turn; the ratio is the median over the rounds.
The real programs, one that drops and allocates memory all the time at 2 GiB, and the longest memory call of one that
holds 2 GiB while snapshots are asked for. Exit status: 0 when everything could be measured.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from statistics import median

import table
from compare import choose_programs, positive, prepared, progress
from figures import Figure, error, geomean_by_round
from launch import LaunchError, Run
from measure import Bench, best, over_neighbours
from suite import PROGRAMS, SNAPSHOTS, Program

WITHOUT = "--no-snapshots"


@dataclass
class Compared:
    """One program; `bare` and `again` are the traced runs without snapshots around each with them."""

    name: str
    bare: list[Run] = field(default_factory=list)
    again: list[Run] = field(default_factory=list)
    taken: list[Run] = field(default_factory=list)
    snapshots: int = 0  # of the last run
    rss_peak: int = 0

    @property
    def ratios(self) -> list[float]:
        return over_neighbours(self, self.taken)

    @property
    def noise(self) -> float:
        """The runs without them, after over before."""
        return median(after.wall_s / before.wall_s for before, after in zip(self.bare, self.again, strict=True))


def main() -> int:
    """Measure and print."""
    options = parse_options()
    try:
        chosen = [program for program in choose_programs(options.programs) if program.real]
        with prepared(options, chosen) as (bench, method):
            real = [compare(bench, program, options.rounds) for program in chosen]
            heavy = compare(bench, Program("_allocations", real=False), options.rounds)
            stalls = [longest_call(bench, options.rounds, *without) for without in ((WITHOUT,), ())]
    except LaunchError as exc:
        print(f"snapshots.py: {exc}", file=sys.stderr)
        return 1
    progress("")
    for key, value in method.items():
        print(f"{key:9} {value}")
    print()
    head = ["program", "without s", "without/without", "with/without", "±", "snapshots", "RSS MiB"]
    table.print_grid([head, *map(_row, [*real, heavy])])
    print()
    found = [*_ratios(real, heavy), _stall(*stalls)]
    table.print_grid([["figure", "target", "measured", "noise", "", ""], *map(table.figure_cells, found)])
    return 0


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="snapshots.py", description="Measure what residency snapshots cost.")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="the interpreter (default: this one)")
    parser.add_argument("--programs", metavar="A,B", help="only these real programs (default: all)")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="runs of each command (default: 5)")
    parser.add_argument("--user", metavar="UID", help="run the commands as this user: a uid or root (default: as now)")
    parser.add_argument("--scale", metavar="N", help="the programs' scale (default: their own; 0: a quick try)")
    return parser.parse_args()


def compare(bench: Bench, program: Program, rounds: int) -> Compared:
    """Without, with, without, in turn."""
    progress(program.name)
    result = Compared(program.name)
    without, taken = bench.traced(program.path, WITHOUT), bench.traced(program.path)
    bench.launcher.check(without)
    for _ in range(rounds):
        for runs, command in ((result.bare, without), (result.taken, taken), (result.again, without)):
            runs.append(bench.launcher.check(command))
    bench.launcher.check(taken)
    info = json.loads(bench.launcher.check(bench.cli("info", str(bench.trace_path), "--json")).stdout)
    result.snapshots = sum(process["counters"].get("snapshots", 0) for process in info["processes"])
    result.rss_peak = info["rss"]["peak"]
    bench.trace_path.unlink()
    return result


def longest_call(bench: Bench, rounds: int, *options: str) -> list[float]:
    """Of each run: milliseconds."""
    command = bench.traced(PROGRAMS / "_stalls.py", *options)
    found = []
    for _ in range(rounds):
        longest, taken = bench.launcher.check(command).stdout.split()
        if (int(taken) == 0) != (WITHOUT in options):
            raise LaunchError(f"{taken} snapshots were taken with {options}")
        found.append(float(longest))
    return found


def _row(compared: Compared) -> list[str]:
    return [
        compared.name,
        f"{best([*compared.bare, *compared.again]):.2f}",
        f"{compared.noise:.3f}",
        f"{median(compared.ratios):.3f}",
        f"{error(compared.ratios):.3f}",
        str(compared.snapshots),
        f"{compared.rss_peak / (1 << 20):.0f}",
    ]


def _ratios(real: list[Compared], heavy: Compared) -> list[Figure]:
    means = geomean_by_round([compared.ratios for compared in real])
    worst = max(real, key=lambda compared: median(compared.ratios))
    return [
        Figure(f"geometric mean of {len(real)} real programs", SNAPSHOTS.geomean, median(means), error(means)),
        Figure("highest of them", SNAPSHOTS.geomean, median(worst.ratios), error(worst.ratios), detail=worst.name),
        Figure("allocating at 2 GiB", SNAPSHOTS.allocating, median(heavy.ratios), error(heavy.ratios)),
    ]


def _stall(without: list[float], taken: list[float]) -> Figure:
    detail = f"without snapshots {max(without):.1f}"
    return Figure("longest memory call at 2 GiB", SNAPSHOTS.stall_ms, max(taken), unit="ms", detail=detail)


if __name__ == "__main__":
    sys.exit(main())
