"""What changed from one side of traces to the other: parts of RSS and owners, with the noise of repeated runs.

A side is one run or several of the same program. Its value is the median (of an even number of runs the mean of the two
in the middle), its spread the largest less the smallest. A change that is no larger than the two spreads together is
within the noise: of runs that differ by chance alone about 1 owner in 8 is called changed with 2 runs a side, 1 in 70
with 3.

A line is told by its distance from the first line of its function, so that edits above a function do not matter; where
a module has several functions of one name (lambdas), by its number.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pymemtrace.compare.owners import Key, Owner, Share
from pymemtrace.compare.runs import Run
from pymemtrace.report import facts
from pymemtrace.report.units import size

Status = Literal["new", "gone", "grew", "shrank", "same"]


@dataclass(frozen=True, slots=True)
class Side:
    """Bytes in each run of a side, in the order of the files."""

    runs: tuple[int, ...]

    @property
    def median(self) -> int:
        """Of an even number of runs the mean of the two in the middle."""
        first, second = middle(self.runs)
        return (self.runs[first] + self.runs[second]) // 2

    @property
    def spread(self) -> int:
        """The largest less the smallest."""
        return max(self.runs) - min(self.runs)


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of both sides."""

    base: Side
    new: Side

    @property
    def change(self) -> int:
        """The new median less the base's."""
        return self.new.median - self.base.median

    @property
    def spread(self) -> int:
        """What both sides' runs differ by: a change up to that may be chance."""
        return self.base.spread + self.new.spread

    @property
    def within_noise(self) -> bool:
        """Always False with one run a side, whose noise is not known."""
        return abs(self.change) <= self.spread and self.spread > 0

    @property
    def status(self) -> Status:
        """What happened to the median; an owner is new or gone only if no run of the other side has it."""
        if not self.change:
            return "same"
        if not any(self.base.runs):
            return "new"
        if not any(self.new.runs):
            return "gone"
        return "grew" if self.change > 0 else "shrank"


@dataclass(frozen=True, slots=True)
class Row:
    """An owner. `owner` is where the new side has it, or else the base; base_owner: where the base has it."""

    owner: Owner
    base_owner: Owner | None
    bytes: Change


@dataclass(frozen=True, slots=True)
class Part:
    """A part of RSS, or of what was touched. base and new are of each side's middle run, so that parts add up; the
    bytes of all runs are in `bytes`."""

    name: str
    base: int
    new: int
    bytes: Change

    @property
    def change(self) -> int:
        return self.new - self.base


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides. Rows are sorted: what changed most first, what may be noise behind."""

    base: Sequence[Run]
    new: Sequence[Run]
    whole: Part
    parts: list[Part]  # add up to whole
    rows: dict[str, list[Row]]  # by kind
    notes: list[str]

    @property
    def repeated(self) -> bool:
        """Whether there are several runs of a side, so that noise is known."""
        return len(self.base) > 1 or len(self.new) > 1


def compare(base: Sequence[Run], new: Sequence[Run]) -> Comparison:
    """Compare runs that were read alike."""
    whole, parts = _books(base, new)
    rows = {kind: _rows([r.owners[kind] for r in base], [r.owners[kind] for r in new], kind) for kind in base[0].owners}
    return Comparison(base, new, whole, parts, rows, _notes(base, new))


def middle(values: Sequence[int]) -> tuple[int, int]:
    """Which values are in the middle; the same one twice if their number is odd."""
    order = sorted(range(len(values)), key=lambda at: (values[at], at))
    return order[(len(order) - 1) // 2], order[len(order) // 2]


def _books(base: Sequence[Run], new: Sequence[Run]) -> tuple[Part, list[Part]]:
    values = [_middle_parts(base), _middle_parts(new)]
    parts = [
        Part(name, values[0][name], values[1][name], _change(base, new, operator.methodcaller("part", name)))
        for name in values[0]
    ]
    whole = Part(
        "whole", sum(p.base for p in parts), sum(p.new for p in parts), _change(base, new, lambda run: run.whole)
    )
    return whole, parts


def _middle_parts(side: Sequence[Run]) -> dict[str, int]:
    """The books of the run whose RSS is the median: medians of each part would not add up."""
    first, second = middle([run.whole for run in side])
    return {name: (value + side[second].parts[name]) // 2 for name, value in side[first].parts.items()}


def _change(base: Sequence[Run], new: Sequence[Run], value: Callable[[Run], int]) -> Change:
    return Change(Side(tuple(value(run) for run in base)), Side(tuple(value(run) for run in new)))


# ---- owners ----


def _rows(base: list[dict[Key, Share]], new: list[dict[Key, Share]], kind: str) -> list[Row]:
    if kind == "line":
        ambiguous = _ambiguous([*base, *new])
        base, new = ([_in_functions(shares, ambiguous) for shares in side] for side in (base, new))
    rows = []
    for key in {key: None for shares in (*base, *new) for key in shares}:
        change = Change(_side(base, key), _side(new, key))
        if any(change.base.runs) or any(change.new.runs):
            was, now = _owner(base, key), _owner(new, key)
            rows.append(Row(now or was or Owner(kind, "", ""), was, change))
    rows.sort(key=_order)
    return rows


def _side(side: list[dict[Key, Share]], key: Key) -> Side:
    return Side(tuple(shares[key].bytes if key in shares else 0 for shares in side))


def _owner(side: list[dict[Key, Share]], key: Key) -> Owner | None:
    return next((shares[key].owner for shares in side if key in shares), None)


def _order(row: Row) -> tuple[bool, int, int, str, str, str, int]:
    o, b = row.owner, row.bytes
    return b.within_noise, -abs(b.change), -b.new.median, o.module, o.name, o.file, o.line or 0


def _ambiguous(runs: list[dict[Key, Share]]) -> set[Key]:
    """Functions, by module and name, of which a run has several."""
    found: set[Key] = set()
    for shares in runs:
        first_lines: dict[Key, object] = {}
        for module, function, first, _line in shares:
            if first_lines.setdefault((module, function), first) != first:
                found.add((module, function))
    return found


def _in_functions(shares: dict[Key, Share], ambiguous: set[Key]) -> dict[Key, Share]:
    """Lines by their place in their function."""
    found: dict[Key, Share] = {}
    for (module, function, first, line), share in shares.items():
        known = (module, function) not in ambiguous
        place = line - first if isinstance(line, int) and isinstance(first, int) and known else line
        key = (module, function, place)
        if key in found:
            found[key] = replace(found[key], bytes=found[key].bytes + share.bytes)
        else:
            found[key] = share
    return found


# ---- what a reader must know ----


def _notes(base: Sequence[Run], new: Sequence[Run]) -> list[str]:
    runs = [*base, *new]
    notes = []
    engines = _groups(runs, lambda run: run.engine.name)
    if len(engines) > 1:
        which = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in engines.items())
        timer = " (the timer gives growth to the code that runs at its ticks)" if facts.TIMER in engines else ""
        notes.append(f"engines differ, so owners may differ by that alone{timer}; RSS can be compared. {which}")
    pythons = _groups(runs, lambda run: run.python or "unknown")
    if len(pythons) > 1:
        which = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in pythons.items())
        notes.append(f"Python versions differ: {which}")
    if any(run.processes > 1 for run in runs):
        notes.append(
            "several processes: owners are summed over all of a trace, RSS and its parts are the first process's "
            "(--root: owners too)"
        )
    band = max(run.error_band for run in runs)
    if band:
        notes.append(f"RSS as the system says it, ± {size(band)}")
    missing: dict[str, list[str]] = {}
    for run in runs:
        for note in run.notes:
            missing.setdefault(note, []).append(run.path)
    return notes + [f"{', '.join(dict.fromkeys(paths))}: {note}" for note, paths in missing.items()]


def _groups(runs: Sequence[Run], name: Callable[[Run], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(name(run), []).append(run.path)
    return found
