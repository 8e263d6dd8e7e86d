"""The JSON of `report`, `tree` and `info`: objects that other programs rely on. Fields are added, never changed."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from pymemtrace.report import facts, load
from pymemtrace.report.model import At, FileRow, FunctionRow, LineRow, ModuleRow, ThreadRow, TreeNode

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

SCHEMA = 1


def report_object(trace: "TraceFile") -> dict[str, Any]:
    """The object of `pymemtrace report --json`. Sizes are bytes, durations seconds."""
    return {
        **_head(trace),
        "python": trace.python,
        "kernel": trace.kernel,
        "engine": asdict(trace.engine),
        "duration_s": trace.duration_s,
        "rss": asdict(trace.rss),
        "at": _at(trace.at),
        "allocators": trace.allocators,
        "processes": [
            {
                "pid": p.pid,
                "parent": p.parent,
                "command": p.command,
                "traced": p.traced,
                "touched": p.touched,
                "rss": asdict(p.rss),
                "at": _at(p.at),
                "end": asdict(p.end),
                "releases": _releases(p.meta),
            }
            for p in trace.processes
        ],
        "lost": trace.lost,
        "left_out": left_out_object(trace),
        "by_line": [{"file": r.file, "line": r.line, "function": r.function, **_sums(r)} for r in trace.by_line],
        "by_function": [
            {"file": r.file, "first_line": r.first_line, "function": r.function, **_sums(r)} for r in trace.by_function
        ],
        "by_module": [{"module": r.module, "file": r.file, **_sums(r)} for r in trace.by_module],
        "by_file": [{"file": r.file, **_sums(r)} for r in trace.by_file],
        "by_thread": [
            {"pid": r.pid, "tid": r.tid, "name": r.name, "bytes": r.bytes, "faults": r.faults, **_found(r, r.bytes)}
            for r in trace.by_thread
        ],
    }


def releases_object(trace: "TraceFile") -> dict[str, Any]:
    """The object of `pymemtrace report --releases --json`: what each line gave back, the most first."""
    found = load.releases(trace.path, trace.pid)
    lines = sorted(found["lines"], key=lambda row: (-row[4], row))
    return {
        **_head(trace),
        "quantity": "released",
        "bytes": found["bytes"],
        "calls": found["count"],
        "processes": [{"pid": p.pid, "releases": _releases(p.meta)} for p in trace.processes],
        "by_line": [
            {"file": file, "line": line or None, "function": function, "bytes": size, "calls": calls}
            for file, line, function, _first, size, calls in lines
        ],
    }


def tree_object(trace: "TraceFile", nodes: Iterable[TreeNode]) -> dict[str, Any]:
    """The object of `pymemtrace tree --json`: `nodes` is flat, parents stand before their children."""
    return {
        **_head(trace),
        "nodes": [
            {
                "id": n.id,
                "parent": n.parent,
                "file": n.file,
                "line": n.line,
                "function": n.function,
                "self": n.self_bytes,
                "total": n.total_bytes,
                "faults": n.faults,
            }
            for n in nodes
        ],
    }


def info_object(trace: "TraceFile", sample_count: int) -> dict[str, Any]:
    """The object of `pymemtrace info --json`."""
    result = trace.result
    return {
        **_head(trace),
        "format": list(result["version"]),
        "file": {
            "path": trace.path,
            "bytes": result["file_bytes"],
            "good_bytes": result["good_bytes"],
            "complete": trace.complete,
            "fault_bytes": result["fault_bytes"],
            "fault_records": result["signals"],
            "bytes_per_fault": result["fault_bytes"] / result["signals"] if result["signals"] else None,
        },
        "page_size": result["page_size"],
        "started": trace.started.isoformat(),
        "duration_s": trace.duration_s,
        "meta": {key: value.split("\0") if key == "command" else value for key, value in sorted(trace.meta.items())},
        "engine": asdict(trace.engine),
        "rss": asdict(trace.rss),
        "processes": [_process(process) for process in trace.processes],
        "by_thread": [asdict(row) for row in trace.by_thread],
        "samples": sample_count,
        "snapshots": [
            {
                "pid": result["processes"][process]["pid"],
                "kind": facts.SNAPSHOT_KINDS.get(kind, str(kind)),
                "name": name,
                "time_s": time / 1e9,
                "end_s": None if end is None else end / 1e9,
                "problem": os.strerror(error) if error else None,
            }
            for process, kind, time, end, error, name in result["snapshots"]
        ],
        "lost": trace.lost,
        "left_out": left_out_object(trace),
        "limit_bytes": None if result["limit_kib"] is None else result["limit_kib"] * 1024,
        "cgroup_peak_bytes": None if result["cgroup_peak_kib"] is None else result["cgroup_peak_kib"] * 1024,
        "functions": len(result["functions"]),
        "stacks": len(result["tree"]),
    }


def write(out: TextIO, document: dict[str, Any]) -> None:
    """Write a document with one line per field and one per row of a list of rows.

    Not json.dump(indent=...), which is many times slower: a tree has up to a million rows. ASCII only, so that
    surrogates in names survive.
    """
    out.write("{")
    for number, (key, value) in enumerate(document.items()):
        out.write(f"{',' if number else ''}\n  {json.dumps(key)}: ")
        if isinstance(value, list) and value and isinstance(value[0], dict):
            out.writelines(_row_lines(value))
        else:
            out.write(json.dumps(value))
    out.write("\n}\n")


def _row_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield f"{',' if number else ''}\n    {json.dumps(row)}"
    yield "\n  ]"


def _head(trace: "TraceFile") -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "quantity": trace.quantity,
        "command": trace.command,
        "end": asdict(trace.end),
        "touched": asdict(trace.touched),
    }


def _at(at: At | None) -> dict[str, Any] | None:
    """The books at the moment; None: what was touched."""
    return None if at is None else asdict(at)


def left_out_object(trace: "TraceFile") -> dict[str, Any] | None:
    """What the file lacks after `time_s`; None: nothing."""
    found = trace.result["left_out"]
    if found is None:
        return None
    time_ns, faults, size, _error, events = found
    return {
        "time_s": time_ns / 1e9,
        "faults": faults,
        "bytes": size,
        "events": events,
        "reason": facts.left_out_reason(trace.result),
    }


def _releases(meta: dict[str, str]) -> dict[str, Any] | None:
    """Until when releases are recorded (None: to the end, or none; `reason` tells), and why; None: not asked for."""
    if "releases_reason" not in meta:
        return None
    until, reason = facts.releases_until(meta) or (None, None)
    return {"until_s": None if until is None else until / 1e9, "reason": reason}


def _process(process: Any) -> dict[str, Any]:
    fields = asdict(process)
    meta = fields["meta"]
    if "sys_path" in meta:
        meta["sys_path"] = meta["sys_path"].split("\0")
    return fields


def _sums(row: LineRow | FunctionRow | ModuleRow | FileRow) -> dict[str, int]:
    return {"self": row.self_bytes, "total": row.total_bytes, "faults": row.faults, **_found(row, row.self_bytes)}


def _found(row: LineRow | FunctionRow | ModuleRow | FileRow | ThreadRow, size: int) -> dict[str, int]:
    """How an owner's bytes were found; the sum is `size`."""
    return {"exact": size - row.fill - row.by_time, "fill": row.fill, "by_time": row.by_time}
