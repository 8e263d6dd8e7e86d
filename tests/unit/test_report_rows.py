"""The rows and JSON of a report, from analysis results made by hand."""

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from report_fakes import MIB, PAGE, empty, install, process, result, trace_file, truncated

import pymemtrace
from pymemtrace.errors import PymemtraceError, TraceFileError, UsageError
from pymemtrace.report import facts, header, held, json_report, tree
from pymemtrace.tracefile import TraceFile


def load(monkeypatch: pytest.MonkeyPatch, folder: Path, answer: Any, pid: int | None = None) -> TraceFile:
    install(monkeypatch, answer)
    return TraceFile(trace_file(folder), pid)


def document(trace: TraceFile) -> Any:
    out = io.StringIO()
    json_report.write(out, json_report.report_object(trace))
    return json.loads(out.getvalue())


def test_books_close_for_every_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = load(monkeypatch, tmp_path, result())
    rest = trace.touched.kernel + trace.touched.tracer
    for rows in (trace.by_line, trace.by_function, trace.by_module, trace.by_file):
        assert sum(row.self_bytes for row in rows) + rest == trace.touched.total


def test_lines_are_sorted_by_self(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = load(monkeypatch, tmp_path, result()).by_line
    assert [row.self_bytes for row in rows] == sorted((row.self_bytes for row in rows), reverse=True)
    first = rows[0]
    assert (first.file, first.line, first.function) == ("/app/app.py", 22, "build.<locals>.row")
    assert (first.self_bytes, first.total_bytes, first.faults) == (6 * MIB, 6 * MIB, 1536)


def test_native_code_is_merged_by_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [row for row in load(monkeypatch, tmp_path, result()).by_line if row.file == "/usr/lib/libblas.so"]
    assert [(r.line, r.function, r.self_bytes, r.total_bytes, r.faults, r.by_time) for r in rows] == [
        (None, "<libblas.so>", MIB, MIB, 256, PAGE)
    ]


def test_unknown_definitions_have_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = load(monkeypatch, tmp_path, result())
    unknown = {(row.function, row.line, row.self_bytes) for row in trace.by_line if row.file == "[unknown]"}
    assert unknown == {("[unknown]", None, MIB), ("<native code>", None, 2 * PAGE)}
    assert ("[unknown]", "[unknown]", None) in {(r.file, r.function, r.first_line) for r in trace.by_function}


def test_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = load(monkeypatch, tmp_path, result()).by_module
    assert {(row.module, row.self_bytes) for row in rows} == {
        ("__main__", 6 * MIB),
        ("json.decoder", 3 * MIB),
        ("[unknown]", MIB + 2 * PAGE),
        ("<libblas.so>", MIB),
    }


def test_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = load(monkeypatch, tmp_path, result()).by_file
    assert [(row.file, row.self_bytes, row.total_bytes, row.faults) for row in rows] == [
        ("/app/app.py", 6 * MIB, 10 * MIB, 1536),
        ("/lib/python/json/decoder.py", 3 * MIB, 3 * MIB, 768),
        ("[unknown]", MIB + 2 * PAGE, MIB + 2 * PAGE, 258),
        ("/usr/lib/libblas.so", MIB, MIB, 256),
    ]


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ("", ["app.py", "--size", "1 000"]),
        ("/usr/bin/python3\0child.py\0x", ["/usr/bin/python3", "child.py", "x"]),
        ("python\0-B\0/lib/pymemtrace/_boot.py\0name\0quiet\0script\0app.py\0-x", ["app.py", "-x"]),
        ("python\0/lib/pymemtrace/_boot.py\0name\0\0module\0pkg.mod\0y", ["-m", "pkg.mod", "y"]),
        ("python\0/lib/pymemtrace/_boot.py\0name\0\0code\0pass", ["-c", "pass"]),
        ("cat\0/lib/pymemtrace/_boot.py", ["cat", "/lib/pymemtrace/_boot.py"]),
    ],
)
def test_commands_of_processes(argv: str, shown: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = process(pid=101)
    child["meta"]["argv"] = argv
    answer = result()
    answer["processes"].append(child)
    assert document(load(monkeypatch, tmp_path, answer))["processes"][-1]["command"] == shown


def test_json_follows_the_schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = document(load(monkeypatch, tmp_path, result()))
    assert found["schema"] == 1
    assert found["quantity"] == "touched"
    assert found["command"] == ["app.py", "--size", "1 000"]
    assert (found["python"], found["kernel"]) == ("3.12.4", "Linux 6.8.0")
    assert found["engine"] == {"name": "faults", "reason": None, "period": 1, "period_changes": 0}
    assert found["end"] == {"kind": "exit", "value": 0}
    assert found["duration_s"] == 2.0
    assert found["rss"] == {"start": 8 * MIB, "peak": 20 * MIB, "end": 18 * MIB, "peak_at_least": False}
    assert set(found["processes"][0]) >= {"pid", "parent", "touched", "rss", "end"}
    assert set(found["by_line"][0]) >= {"file", "line", "function", "self", "total", "faults"}
    assert set(found["by_function"][0]) >= {"file", "first_line", "function", "self", "total", "faults"}
    assert set(found["by_module"][0]) >= {"module", "file", "self", "total", "faults"}
    assert set(found["by_file"][0]) == {"file", "self", "total", "faults", "exact", "fill", "by_time"}
    assert [(t["pid"], t["tid"], t["name"], t["bytes"]) for t in found["by_thread"]] == [
        (100, 100, "MainThread", 10 * MIB),
        (100, 101, "worker", 2 * MIB),
    ]
    touched = found["touched"]
    assert touched["total"] == sum(r["self"] for r in found["by_line"]) + touched["kernel"] + touched["tracer"]


def test_json_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shuffled = result()
    shuffled["lines"].reverse()
    shuffled["native"].reverse()
    shuffled["threads"].reverse()
    assert document(load(monkeypatch, tmp_path, result())) == document(load(monkeypatch, tmp_path, shuffled))


def test_json_keeps_surrogates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = result()
    answer["frames"][1] = ("/app/\udc80.py", 22, "f", 20)
    assert document(load(monkeypatch, tmp_path, answer))["by_line"][0]["file"] == "/app/\udc80.py"


@pytest.mark.parametrize(
    ("end", "complete", "expected"),
    [
        ((0, 3, 5), True, ("exit", 3)),
        ((1, 9, 5), True, ("signal", 9)),
        ((2, 0, 5), True, ("exit", None)),
        (None, True, ("running", None)),
        (None, False, ("truncated", None)),
        ((0, 0, 5), False, ("exit", 0)),
    ],
)
def test_end(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    end: tuple[int, int, int] | None,
    complete: bool,
    expected: tuple[str, int | None],
) -> None:
    trace = load(monkeypatch, tmp_path, result(processes=[process(end=end)], complete=complete))
    assert (trace.end.kind, trace.end.value) == expected


def test_a_program_that_nobody_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = load(monkeypatch, tmp_path, empty(processes=[], meta={"problem": "no room"}))
    assert (trace.end.kind, trace.end.value) == ("exit", None)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, None),
        ({"moves_reason": "no register"}, None),  # nobody asked for releases
        ({"moves_reason": "", "releases_reason": ""}, None),
        ({"moves_reason": "", "releases_reason": "no register"}, (None, "no register")),
        ({"moves_reason": "no register", "releases_reason": "no register"}, (None, "no register")),
        ({"moves_reason": "", "releases_reason": "dear", "releases_until": "7"}, (7, "dear")),
        ({"moves_reason": "dear", "moves_until": "5", "releases_reason": ""}, (5, "dear")),
        (
            {"moves_reason": "a", "moves_until": "5", "releases_reason": "b", "releases_until": "7"},
            (5, "b; a"),
        ),
        ({"moves_reason": "not one", "releases_reason": "dear", "releases_until": "7"}, (None, "dear; not one")),
    ],
)
def test_until_when_releases_are_recorded(meta: dict[str, str], expected: tuple[int | None, str] | None) -> None:
    assert facts.releases_until(meta) == expected


def test_a_trace_cut_before_its_first_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = load(monkeypatch, tmp_path, empty(processes=[], meta={}, complete=False))
    found = document(trace)
    assert found["end"] == {"kind": "truncated", "value": None}
    assert found["engine"]["name"] == "none"
    assert found["rss"] == {"start": None, "peak": None, "end": None, "peak_at_least": False}


@pytest.mark.parametrize(
    ("meta", "ended", "peak", "expected"),
    [
        ({}, 19_999_999, MIB, "≥ 1.0 MiB"),
        ({}, 20_000_000, MIB, "1.0 MiB"),
        ({}, 19_999_999, 0, "unknown"),
        ({"engine": "faults"}, 19_999_999, MIB, "1.0 MiB"),
    ],
)
def test_the_peak_of_a_brief_process_is_a_bound(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, meta: dict[str, str], ended: int, peak: int, expected: str
) -> None:
    brief = process(meta=meta, end=(0, 0, ended), rss_peak=peak)
    trace = load(monkeypatch, tmp_path, result(processes=[process(), brief]))
    row = trace.processes[1]
    assert header.peak_text(row.rss) == expected
    assert row.command == (["app.py", "--size", "1 000"] if meta else []), (
        "the first process's only where it is a fork of it"
    )


def test_truncated_is_readable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = document(load(monkeypatch, tmp_path, truncated()))
    assert found["end"]["kind"] == "truncated"
    assert found["by_line"]


def test_engine_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meta = {"engine": "none", "engine_reason": "perf_event_paranoid is 3"}
    engine = load(monkeypatch, tmp_path, empty(processes=[process(meta=meta, period=0)])).engine
    assert (engine.name, engine.reason, engine.period) == ("none", "perf_event_paranoid is 3", 0)


def test_pid_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = install(monkeypatch, result())
    path = trace_file(tmp_path)
    TraceFile(path, 100)
    assert fake.asked == [(path, 100)]


def test_tree_is_flat_with_parents_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = load(monkeypatch, tmp_path, result())
    nodes = json_report.tree_object(trace, trace.tree)["nodes"]
    assert [node["id"] for node in nodes] == [0, 1, 2, 3, 4]
    assert nodes[0]["parent"] is None
    assert all(node["parent"] < node["id"] for node in nodes[1:])
    assert sum(node["self"] for node in nodes) == sum(row.self_bytes for row in trace.by_line)


def test_tree_selection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nodes = load(monkeypatch, tmp_path, result()).tree
    assert [n.id for n in tree.select(nodes, 12 * MIB, 0.2, 0)] == [0, 1, 2, 3]
    assert [n.id for n in tree.select(nodes, 12 * MIB, 0.0, 1)] == [0, 1]
    assert [n.id for n in tree.select(nodes, 0, 0.0, 0)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(13, "Permission denied"), "Permission denied"),
        (ValueError("embedded null"), "embedded null"),
    ],
)
def test_errors_are_trace_file_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, text: str
) -> None:
    with pytest.raises(TraceFileError, match=text) as caught:
        load(monkeypatch, tmp_path, error)
    assert str(caught.value).startswith(str(tmp_path / "app.pmt"))
    assert caught.value.exit_status == 2


def test_unknown_pid_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for error in (ValueError("no process 7"), OverflowError("too large")):
        with pytest.raises(UsageError, match="no process 7 in this trace; `pymemtrace info`"):
            load(monkeypatch, tmp_path, error, 7)


def test_only_regular_files_are_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = install(monkeypatch, result())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cases: list[tuple[str | Path, str]] = [
        (tmp_path, "is a directory"),
        (fifo, "not a regular file"),
        (tmp_path / "no.pmt", "No such file"),
        ("/dev/zero", "not a regular file"),
        ("a\0b", "embedded null"),
    ]
    for path, text in cases:
        with pytest.raises(TraceFileError, match=text):
            TraceFile(path)
    assert fake.asked == []


def test_missing_extension_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(pymemtrace, "_analysis", raising=False)
    monkeypatch.setitem(sys.modules, "pymemtrace._analysis", None)
    with pytest.raises(PymemtraceError, match="pip install"):
        TraceFile(trace_file(tmp_path))


def test_trace_is_found_in_the_package() -> None:
    assert pymemtrace.TraceFile is TraceFile
    assert "TraceFile" in dir(pymemtrace)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pymemtrace.nothing


def test_a_last_snapshot_that_is_not_whole() -> None:
    """What is not known is said, but not of moments before the last whole one."""
    answer = result(at_ns=2_000_000_000)
    answer["snapshots"] = [(0, 1, 0, 1_000_000, 0, ""), (0, 2, 900_000_000, 1_000_000_000, 0, "")]
    assert "not whole" not in str(held.not_known(answer, 0))
    answer["snapshots"].append((0, 4, 1_900_000_000, 1_950_000_000, errno.ETIME, ""))
    assert "the snapshot at the end is not whole" in str(held.not_known(answer, 0))
    assert "after 1.000 s is not known" in str(held.not_known(answer, 0))
    answer["at_ns"] = 500_000_000
    assert "at the end is not whole" not in str(held.not_known(answer, 0))
