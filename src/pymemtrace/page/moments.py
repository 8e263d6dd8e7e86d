"""The moments of a page: at equal distances, where RSS was highest in between, and those of which somebody will ask."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymemtrace._analysis import Result

EQUAL = 200
_PROCESSES = 60  # of which beginning, peak and end are moments
_SNAPSHOTS, _MARKS = 100, 100
_ASKED_FOR, _AT_END = 3, 4  # kinds of snapshots


def all_moments(result: "Result") -> list[int]:
    """In ns, ascending. With each peak, end of a process, mark and snapshot that was asked for, but of very many."""
    duration = max(result["duration_ns"], 1)
    times = {duration * point // (EQUAL - 1) for point in range(EQUAL)} | {result["peak_ns"]}
    times.update(result["highs"])
    ranks = sorted(range(len(result["processes"])), key=lambda each: -result["processes"][each]["rss_peak"])
    for number in ranks[:_PROCESSES]:
        process = result["processes"][number]
        times |= {process["start_ns"], process["rss_peak_ns"], end_of(result, number)}
    asked = [end for _process, kind, _time, end, *_rest in result["snapshots"] if kind == _ASKED_FOR and end]
    times |= set(asked[:_SNAPSHOTS]) | {time for _process, time, _text in result["marks"][:_MARKS]}
    return sorted(time for time in times if 0 <= time <= duration)


def end_of(result: "Result", number: int) -> int:
    """When a process was about to exit, or ended, or the trace did: ns. What it holds later just goes."""
    of_process = [row for row in result["snapshots"] if row[0] == number and row[1] == _AT_END and row[3]]
    ended = result["processes"][number]["end"]
    if of_process:
        return of_process[-1][3] or 0
    return ended[2] if ended else result["duration_ns"]
