"""What a page shows of a comparison with other traces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pymemtrace.compare import diff, runs
from pymemtrace.page.frames import NAME_LIMIT
from pymemtrace.report.text import clip, location

if TYPE_CHECKING:
    from pymemtrace.compare.diff import Row
    from pymemtrace.compare.runs import Run

_VIEWS = {"peak": runs.Asked("peak"), "end": runs.Asked("end"), "touched": runs.Asked(None)}
_ROWS = 1_000  # of a kind in a view: what changed most


def comparison(base: Sequence[str], trace: str) -> dict[str, Any]:
    """What changed from the base, one trace or several of the same program, to the trace: what was resident at the
    peaks of RSS, at the ends, and what was touched.

    Raises as TraceFile, UsageError where nothing was recorded.
    """
    return {
        "base": [clip(path, NAME_LIMIT) for path in base],
        "views": {name: _view(base, trace, asked) for name, asked in _VIEWS.items()},
    }


def _view(base: Sequence[str], trace: str, asked: runs.Asked) -> dict[str, Any]:
    found = diff.compare([runs.read(path, asked) for path in base], [runs.read(trace, asked)])
    run = found.new[0]
    return {
        "notes": found.notes,
        "whole": [found.whole.base, found.whole.new],
        "parts": [(part.name, part.base, part.new) for part in found.parts],
        "rows": {kind: [_row(row, run) for row in rows[:_ROWS]] for kind, rows in found.rows.items()},
        "left_out": {kind: max(0, len(rows) - _ROWS) for kind, rows in found.rows.items()},
    }


def _row(row: "Row", run: "Run") -> tuple[str, str, str, int, int, int]:
    """Name, place, what happened, bytes of both sides, and by how much these may differ by chance."""
    owner = row.owner
    name = owner.module if owner.kind == "module" else owner.name
    place = clip(location(run.shorten(owner.file), owner.line), NAME_LIMIT) if owner.file else ""
    status = "noise" if row.bytes.within_noise else row.bytes.status
    return clip(name, NAME_LIMIT), place, status, row.bytes.base.median, row.bytes.new.median, row.bytes.spread
