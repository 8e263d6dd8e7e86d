"""The JSON of `pymemtrace diff` and `check`: objects that other programs rely on. Fields are added, never changed."""

from dataclasses import asdict
from typing import Any

from pymemtrace.compare.diff import Change, Comparison, Part, Row, Side
from pymemtrace.compare.limits import Verdict, reason
from pymemtrace.compare.runs import Asked, Run

SCHEMA = 1


def diff_object(found: Comparison, asked: Asked) -> dict[str, Any]:
    """The object of `pymemtrace diff --json`. Sizes are bytes, durations seconds."""
    return {
        "schema": SCHEMA,
        "quantity": "touched" if asked.at is None else "resident",
        "at": asked.at,
        "total": asked.total,
        "base": [_run(run) for run in found.base],
        "new": [_run(run) for run in found.new],
        "notes": found.notes,
        "whole": _part(found.whole),
        "parts": [_part(part) for part in found.parts],
        **{f"by_{kind}": [_row(row) for row in rows] for kind, rows in found.rows.items()},
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "path": run.path,
        "command": run.command,
        "python": run.python,
        "engine": asdict(run.engine),
        "duration_s": run.duration_s,
        "rss": asdict(run.rss),
        "whole": run.whole,
        "parts": run.parts,
        "processes": run.processes,
        "notes": list(run.notes),
    }


def _part(part: Part) -> dict[str, Any]:
    """base and new are of the middle runs; the medians of a part's own are in `sides`."""
    return {"name": part.name, "base": part.base, "new": part.new, "change": part.change, "sides": _change(part.bytes)}


def _row(row: Row) -> dict[str, Any]:
    o, was = row.owner, row.base_owner
    place = {} if o.kind == "thread" else {"module": o.module, "file": o.file}
    lines = {"line": o.line, "base_line": was.line if was else None} if o.kind in ("line", "function") else {}
    name = {} if o.kind == "module" else {"name" if o.kind == "thread" else "function": o.name}
    return {**place, **name, **lines, **_change(row.bytes)}


def _change(change: Change) -> dict[str, Any]:
    return {
        "status": change.status,
        "change": change.change,
        "spread": change.spread,
        "within_noise": change.within_noise,
        "base": _side(change.base),
        "new": _side(change.new),
    }


def _side(side: Side) -> dict[str, Any]:
    return {"median": side.median, "spread": side.spread, "runs": list(side.runs)}


def check_object(verdict: Verdict) -> dict[str, Any]:
    """The object of `pymemtrace check --json`. Sizes are bytes; `baseline` None: a limit that was given."""
    return {
        "schema": SCHEMA,
        "trace": verdict.trace,
        "ok": verdict.ok,
        "processes": verdict.processes,
        "findings": [
            {
                "kind": f.kind,
                "name": f.name,
                "value": f.value,
                "limit": f.limit,
                "baseline": f.baseline,
                "option": f.limit_name,
                "ok": f.passed,
                "reason": None if f.passed else reason(f),
            }
            for f in verdict.findings
        ],
        "warnings": verdict.warnings,
    }
