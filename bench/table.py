"""Prints what was measured: a table of programs, a table of figures beside their targets; or CSV; or a JSON file."""

import csv
import json
import sys
from dataclasses import asdict
from statistics import median
from typing import Any

from figures import Figure, error, geomean, ratio_figure
from measure import Result, Startup, TraceFacts
from suite import MIB

_HEADERS = {
    "program": "program",
    "bare_s": "bare s",
    "noise": "bare/bare",
    "ratio": "traced",
    "error": "±",
    "best_ratio": "best",
    "ratio_without_startup": "- start-up",
    "exact_ratio": "--exact",
    "verdict": "",
    "rss_peak_mib": "RSS MiB",
    "faults": "faults",
    "bytes_per_fault": "B/fault",
    "period": "period",
}
_RATIOS = ("noise", "ratio", "best_ratio", "ratio_without_startup", "exact_ratio", "error")
_DIGITS = {"bare_s": 2, "rss_peak_mib": 0, **dict.fromkeys(_RATIOS, 3)}
_EXPLANATION = """\
traced, --exact: whole command over bare, start-up included: the median over the rounds of traced over the mean of the
                 bare runs just before and after; the targets are about `traced`. ±: twice its standard error
bare/bare:       the median of the bare run after over the one before
best:            the shortest traced run over the shortest bare one
- start-up:       `traced` with what `run` adds to an empty program taken off
faults, B/fault:  of a run with --exact; the trace file's size by the faults in it. RSS: the highest while tracing
period:           the widest that `traced` used"""


def row(result: Result, startup: Startup) -> dict[str, Any]:
    """The measurements of one program as flat values."""
    trace, exact = result.trace, result.exact_trace
    return {
        "program": result.program.name,
        "bare_s": result.bare_s,
        "noise": median(result.noise_ratios),
        "ratio": median(result.ratios),
        "error": error(result.ratios),
        "best_ratio": result.best_ratio,
        "ratio_without_startup": result.ratio_without(startup.added_s),
        "exact_ratio": result.exact_ratio,
        "verdict": ratio_figure(result).verdict,
        "rss_peak_mib": None if trace is None or trace.rss_peak is None else trace.rss_peak / MIB,
        "faults": exact.faults if exact else None,
        "bytes_per_fault": exact.bytes_per_record if exact else None,
        "period": trace.period if trace else None,
    }


def print_text(method: dict[str, str], results: list[Result], startup: Startup, figures: list[Figure]) -> None:
    """Everything, for people."""
    for key, value in method.items():
        print(f"{key:9} {value}")
    rows = [row(result, startup) for result in results]
    hidden = set() if any(values["exact_ratio"] is not None for values in rows) else {"exact_ratio"}
    columns = [key for key in _HEADERS if key not in hidden]
    print()
    print_grid([[_HEADERS[key] for key in columns], *([_cell(key, values[key]) for key in columns] for values in rows)])
    real = [values for values, result in zip(rows, results, strict=True) if result.program.real]
    if real:
        means = (geomean(values[key] for values in real) for key in ("noise", "ratio", "ratio_without_startup"))
        print("geometric mean, real programs: {:.3f} bare/bare, {:.3f} traced, {:.3f} - start-up".format(*means))
    print(f"\n{_EXPLANATION}\n")
    print_grid([["figure", "target", "measured", "noise", "", ""], *(figure_cells(figure) for figure in figures)])


def print_csv(results: list[Result], startup: Startup) -> None:
    """One row a program."""
    writer = csv.DictWriter(sys.stdout, list(_HEADERS))
    writer.writeheader()
    writer.writerows(row(result, startup) for result in results)


def write_json(
    path: str, method: dict[str, str], results: list[Result], startup: Startup, figures: list[Figure]
) -> None:
    """Everything, with each single run."""
    document = {
        "method": method,
        "startup": asdict(startup),
        "programs": [{**row(result, startup), **_details(result)} for result in results],
        "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures],
    }
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1)
        out.write("\n")


def _details(result: Result) -> dict[str, Any]:
    kinds = {"bare": result.bare, "again": result.again, "traced": result.traced, "exact": result.exact}
    runs = {
        kind: [{"wall_s": run.wall_s, "cpu_s": run.cpu_s, "max_rss": run.max_rss} for run in list_of_runs]
        for kind, list_of_runs in kinds.items()
    }
    traces: dict[str, TraceFacts | None] = {"trace": result.trace, "exact_trace": result.exact_trace}
    return {
        "runs": runs,
        **{key: asdict(trace) if trace else None for key, trace in traces.items()},
        "recorder": {"peak": result.recorder.peak, "slope": result.recorder.slope},
    }


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{_DIGITS.get(key, 1)}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def figure_cells(figure: Figure) -> list[str]:
    digits = 3 if figure.unit == "x" else 2 if figure.unit == "MiB" else 1
    unit = "" if figure.unit == "x" else f" {figure.unit}"
    measured = "-" if figure.measured is None else f"{figure.measured:.{digits}f}{unit}"
    noise = f"±{figure.noise:.{digits}f}" if figure.noise else ""
    return [figure.name, f"<= {figure.target:.{digits}f}{unit}", measured, noise, figure.verdict, figure.detail]


def print_grid(lines: list[list[str]]) -> None:
    """Columns as wide as they must be; numbers to the right, text to the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = (
            cell.rjust(width) if _is_number(lines, column) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _is_number(lines: list[list[str]], column: int) -> bool:
    return any(line[column][:1].isdigit() for line in lines[1:])
