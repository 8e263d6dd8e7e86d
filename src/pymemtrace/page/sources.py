"""The source lines that a page shows: those around lines that own something, of files that are still as they were."""

from collections.abc import Iterable

from pymemtrace.report import source

_AROUND = 12  # lines before and after
_ALL_MAX = 2 << 20  # characters of all lines
_LINE_MAX = 500  # characters


def sources(wanted: Iterable[tuple[str, str, set[int]]], started: float) -> dict[str, dict[str, object]]:
    """By the shown name of a file its lines from the first to the last that is wanted, and some around them.

    wanted: shown name, path and lines of each file, the most important first; of what comes after too much nothing is
    shown. started: when the trace began, in seconds since the epoch: a file that has changed since is left out.
    """
    found: dict[str, dict[str, object]] = {}
    room = _ALL_MAX
    for name, path, lines in wanted:
        read = source.read(path, started)
        if read is None or read.changed or not lines:
            continue
        first = max(1, min(lines) - _AROUND)
        part = [line[:_LINE_MAX] for line in read.lines[first - 1 : max(lines) + _AROUND]]
        room -= sum(map(len, part))
        if room < 0:
            break
        if part:
            found[name] = {"first": first, "lines": part}
    return found
