"""RSS over time: by what holds it, and by owner. At each point the parts add up to RSS."""

import csv
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.report import facts, header, held, load, modules
from pymemtrace.report.console import rows_table
from pymemtrace.report.facts import UNKNOWN
from pymemtrace.report.text import clean, label, location
from pymemtrace.report.units import size

if TYPE_CHECKING:
    from pymemtrace._analysis import History
    from pymemtrace.tracefile import TraceFile

PARTS = ("before_start", "file", "shared", "kernel", "tracer", "exact", "fill", "by_time")
REST = "all others"
Frame = tuple[str, int, str, int]  # file, line, name, first line
KINDS = ("line", "function", "module", "file")


@dataclass(frozen=True, slots=True)
class Point:
    """Bytes at a time. rss = the sum of parts (of PARTS) + unexplained; owners sum to what is owned."""

    time_s: float
    rss: int | None
    parts: dict[str, int]
    unexplained: int
    cgroup_usage: int | None
    cgroup_limit: int | None
    owners: list[int]  # in the order of Timeline.owners


class Owner(NamedTuple):
    """What holds memory: a line, a function, a module (file "") or a file (name "")."""

    name: str
    file: str = ""
    line: int | None = None

    @property
    def text(self) -> str:
        """As JSON and CSV call it."""
        place = location(self.file, self.line) if self.file else ""
        return f"{self.name} {place}".strip(" ") if self.name and place else self.name or place


_NATIVE = Owner(facts.NATIVE_UNKNOWN)


@dataclass(frozen=True, slots=True)
class Timeline:
    owners: list[str]  # those that held most at once, then REST
    points: list[Point]
    who: list[Owner]  # the same without REST


def read(trace: "TraceFile", by: str, top: int, points: int) -> Timeline:
    """The timeline of the trace's processes, or of the one that it is about."""
    times = moments(trace, points)
    return of_history(trace, by, top, times, load.history(trace.path, trace.pid, times, trace.result["read"]))


def of_history(trace: "TraceFile", by: str, top: int, times: list[int], found: "History") -> Timeline:
    """The same of what is known of these times (ns) already."""
    rows = []
    for time_ns, books, cgroup, owners in zip(
        times, found["held"], found["cgroup"], _owners(trace, found, by), strict=True
    ):
        mine = [h for h, p in zip(books, trace.processes, strict=True) if trace.pid is None or p.pid == trace.pid]
        known = [] if held.unread(trace.result, time_ns) else [h[0] for h in mine if h[0] is not None]
        sums = [sum(values) for values in zip(*(h[1:] for h in mine), strict=True)]
        parts = dict(zip(PARTS, sums or [0] * len(PARTS), strict=True))
        rows.append((time_ns, sum(known) if known else None, parts, *cgroup, owners))
    highest: dict[Owner, int] = {}
    for *_rest, owners in rows:
        for owner, held_bytes in owners.items():
            highest[owner] = max(highest.get(owner, 0), held_bytes)
    shown = sorted((o for o in highest if highest[o] > 0), key=lambda o: (-highest[o], o.text))[: top or None]
    return Timeline([*(o.text for o in shown), REST], [_point(row, shown) for row in rows], shown)


def moments(trace: "TraceFile", points: int) -> list[int]:
    """So many times, ns: at equal distances up to the end of the program, and that nearest to the peak is the peak."""
    end, peak = trace.result["end_ns"], trace.result["peak_ns"]
    times = [end * point // (points - 1) for point in range(points)]
    if 0 < peak < end and points > 2:
        nearest = min(range(1, points - 1), key=lambda point: abs(times[point] - peak))
        times[nearest] = peak
    return times


def _owners(trace: "TraceFile", found: "History", by: str) -> Iterator[dict[Owner, int]]:
    """What each owner holds at each moment."""
    names = owner_names(trace, found, by)
    steps = zip(*(array("q", found[column]) for column in ("moment", "owner", "resident")), strict=True)
    holds: dict[Owner, int] = {}
    step = next(steps, None)
    for moment in range(len(found["held"])):
        while step and step[0] == moment:
            holds[names[step[1]]] = holds.get(names[step[1]], 0) + step[2]
            step = next(steps, None)
        yield dict(holds)


def owner_names(trace: "TraceFile", found: "History", by: str) -> list[Owner]:
    """Who each of a history's owners is."""
    name = _names(trace, by)
    frames = [name(frame) for frame in found["frames"]]
    return [_NATIVE if o is None or not o[0] else frames[found["tree"][o[0]][1]] for o in found["owners"]]


def _point(row: tuple[Any, ...], shown: list[Owner]) -> Point:
    time_ns, rss, parts, usage, limit, owners = row
    values = [owners.get(owner, 0) for owner in shown]
    return Point(
        time_s=time_ns / 1e9,
        rss=rss,
        parts=parts,
        unexplained=0 if rss is None else rss - sum(parts.values()),
        cgroup_usage=None if usage is None else usage * 1024,
        cgroup_limit=None if limit is None else limit * 1024,
        owners=[*values, _owned(parts) - sum(values)],
    )


def _owned(parts: dict[str, int]) -> int:
    return parts["exact"] + parts["fill"] + parts["by_time"]


def _names(trace: "TraceFile", by: str) -> Callable[[Frame], Owner]:
    names = modules.names_of(trace.result)
    if by == "module":
        return lambda row: Owner(names(row[0]))
    if by == "file":
        return lambda row: Owner("", row[0] or UNKNOWN)
    if by == "line":
        return lambda row: Owner(row[2] or UNKNOWN, row[0] or UNKNOWN, row[1] or None)
    return lambda row: Owner(row[2] or UNKNOWN, row[0] or UNKNOWN, row[3] or None)


def json_object(timeline: Timeline) -> dict[str, Any]:
    """The object of `pymemtrace timeline --json`: bytes and seconds."""
    return {
        "schema": 1,
        "quantity": "resident",
        "owners": timeline.owners,
        "points": [
            {
                "time_s": p.time_s,
                "rss": p.rss,
                **p.parts,
                "unexplained": p.unexplained,
                "cgroup_usage": p.cgroup_usage,
                "cgroup_limit": p.cgroup_limit,
                "owners": p.owners,
            }
            for p in timeline.points
        ],
    }


def write_csv(out: TextIO, timeline: Timeline) -> None:
    """A column for the time, RSS, each part, the cgroup and each owner."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time_s", "rss", *PARTS, "unexplained", "cgroup_usage", "cgroup_limit", *timeline.owners])
    for p in timeline.points:
        parts = [p.parts[part] for part in PARTS]
        writer.writerow([p.time_s, p.rss, *parts, p.unexplained, p.cgroup_usage, p.cgroup_limit, *p.owners])


def report(trace: "TraceFile", timeline: Timeline, full_paths: bool) -> list[RenderableType]:
    """The table of points: RSS by what holds it, and the owners numbered below. The trace is about the peak."""
    numbers = [f"[{n}]" for n in range(1, len(timeline.owners))]
    table = rows_table(
        ["time", "RSS", "before", "owned", "file", "other", *numbers, "others", "cgroup"], 7 + len(numbers) + 1
    )
    for p in timeline.points:
        cells = [f"{p.time_s:.3f} s", "-" if p.rss is None else size(p.rss), size(p.parts["before_start"])]
        cells += [size(_owned(p.parts)), size(p.parts["file"]), size(other(p)), *(size(o) for o in p.owners)]
        table.add_row(*cells, "-" if p.cgroup_usage is None else size(p.cgroup_usage))
    shorten = header.shortener(trace, full_paths)
    shown = (owner._replace(file=shorten(owner.file)).text for owner in timeline.who)
    names = [Text(f"{number} {label(owner)}") for number, owner in zip(numbers, shown, strict=True)]
    note = Text("RSS = before + owned + file + other (shared, kernel, tracer, unexplained); owned = [1] + ... + others")
    return [table, Text(""), *names, Text(""), note, *closing(trace)]


def other(point: Point) -> int:
    """Bytes that neither lines nor files hold, nor what was there before the start."""
    return point.parts["shared"] + point.parts["kernel"] + point.parts["tracer"] + point.unexplained


def closing(trace: "TraceFile") -> list[Text]:
    """The books of the peak, and what cannot be known of it and of the end. The trace is about the peak."""
    if not trace.result["processes"]:
        return []
    texts = [Text(""), *header.closing(trace)]
    at_end = held.not_known(trace.result, trace.result["at_process"], trace.result["end_ns"])
    if at_end and at_end != trace.not_known:
        texts.append(Text(clean(f"at the end: {at_end}"), style="yellow"))
    return texts
