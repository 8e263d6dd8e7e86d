"""`pymemtrace log`, `calls`, `lines`, `tree` and `info` of a trace with events, through the command line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oracle import encode, events, pmt, synth

units = pytest.importorskip("pymemtrace.report.units")

KIB = 1024
SOURCE = "def work():\n    grow()\n    shrink()\n\n\nwork()\n"


def run(*words: str | Path, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pymemtrace", *map(str, words)],
        capture_output=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "250"},
    )
    assert done.returncode == status, done.stderr.decode()
    return (done.stderr if status else done.stdout).decode()


def story(folder: Path) -> bytes:
    """work() calls grow() (+100 pages) and shrink() (-90), by lines; then an exception, a mark, a loss."""
    w = synth.Writer()
    app = str(folder / "app.py")
    w.raw(
        encode.meta(0, "command", "app.py")
        + encode.meta(0, "kernel", "Linux 6.1.0")
        + encode.meta(0, "cwd", str(folder))
    )
    p = w.process(7, 1, 0)
    for key, value in (
        ("events", "lines"),
        ("events_c", "yes"),
        ("events_rss", "tracked"),
        ("events_hooks", "profile"),
    ):
        w.raw(encode.meta(p + 1, key, value))
    w.raw(encode.mark(p, 100, 1, 1000))
    t, other = w.thread(p, 7, 0, "main"), w.thread(p, 8, 0, "other")
    names = (
        (1, 1, app, "work"),
        (2, 9, "/gone/lib.py", "grow"),
        (3, 0, "<builtins>", "shrink"),
        (4, 0, "<builtins>", "KeyError"),
    )
    for ident, first, file, name in names:
        w.raw(encode.code(p, ident, first, file, name))
    w.round(500)
    w.batch(t)
    w.events(t, [(1000, 11, 1000), (1000, 1, 1), (1080, 10, 2), (1160, 1, 2), (1240, 11, 1100), (1240, 2, 0)])
    w.fault(1300, 0x5000, 3, w.node(w.root(p), 1, 0), rss=1103)
    w.events(t, [(1400, 10, 3), (1480, 7, 3), (1560, 11, 1010), (1560, 8, 0), (1640, 6, 4)])
    w.note(t, 1700, 1, 0, "half\x1b[31m, way")
    w.note(other, 1800, 6, 12, "")
    counters = {"events": 9, "events_lost": 17, "events_lost_slotless": 5, "event_waits": 0, "rss_reads": 4}
    for name, value in counters.items():
        w.raw(encode.counter(p, name, value))
    w.raw(encode.mark(p, 2000, 2, 1010) + encode.process_end(p, 0, 0, 2100))
    return w.finish(2200)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(SOURCE)
    path = tmp_path / "app.pmt"
    path.write_bytes(story(tmp_path))
    return path


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_log_json(trace: Path) -> None:
    rows = objects(run("log", "--json", trace))
    expected = events.log(pmt.decode(trace))
    fields = ("pid", "tid", "depth", "kind", "function", "file", "line", "rss", "change")
    assert [tuple(row[key] for key in fields) for row in rows] == [tuple(row[1:10]) for row in expected]
    assert [row["t"] for row in rows] == [row.t / 1e9 for row in expected]
    kinds = " ".join(row["kind"] for row in rows)
    assert kinds == "mark call line call return fault line c_call c_return unwind mark lost mark"
    assert [row["depth"] for row in rows] == [0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]
    assert sum(row["change"] for row in rows) == 10 * 4096
    by_kind = {row["kind"]: row for row in rows}
    assert by_kind["unwind"]["exception"] == "KeyError"
    assert by_kind["fault"]["touched"] == 3 * 4096
    assert by_kind["lost"]["events"] == 12
    assert by_kind["c_call"]["line"] is None
    assert rows[-3]["text"] == "half\x1b[31m, way"


def test_log_csv(trace: Path) -> None:
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(run("log", "--csv", trace))))
    expected = events.log(pmt.decode(trace))
    assert [(row["kind"], row["function"], int(row["rss"]), int(row["change"])) for row in rows] == [
        (row.kind, row.function or "", row.rss, row.change) for row in expected
    ]
    assert rows[-3]["text"] == "half\x1b[31m, way"
    assert [row["touched"] for row in rows if row["touched"]] == [str(3 * 4096)]


def test_log_text(trace: Path) -> None:
    out = run("log", trace)
    assert all(line.isprintable() for line in out.splitlines())
    assert "12 events; rows of kind `lost` stand where they are missing" in out
    assert "5 events of threads beyond the 1,024 that are recorded at a time" in out
    assert "this kernel's figure lags by up to 256.0 KiB" in out
    lines = out.splitlines()
    grown = next(line for line in lines if "+400" in line)
    assert grown.split() == ["0.000001", "7", "4400", "+400", "return", "grow", "/gone/lib.py:9"]
    assert "unwind    work ! KeyError  app.py:3" in out
    assert "12 events were lost here" in out


def test_log_choices(trace: Path) -> None:
    def kinds(*words: str) -> list[str]:
        return [row["kind"] for row in objects(run("log", "--json", trace, *words))]

    assert kinds("--min-change", "100KiB") == ["call", "return", "c_call", "c_return"]
    assert kinds("--min-change", "400KiB") == ["call", "return"]
    assert kinds("--thread", "8") == kinds("--thread", "other") == ["lost"]
    assert kinds("--function", "row") == kinds("--function", "g*w") == ["call", "return"]
    assert kinds("--function", "row*") == []
    assert kinds("--since", "0.0000016", "--until", "0.00000175") == ["unwind", "mark"]
    assert kinds("--pid", "7") == kinds()
    assert "no thread 'nobody'" in run("log", trace, "--thread", "nobody", status=2)
    assert "--since 2 is later than --until 1" in run("log", trace, "--since", "2", "--until", "1", status=2)
    assert "no process 9" in run("log", trace, "--pid", "9", status=2)


def test_log_stops_with_its_reader(tmp_path: Path) -> None:
    w = synth.Writer()
    p = w.process(7)
    t = w.thread(p, 7)
    for start in range(0, 400_000, 4000):
        w.events(t, [(8 * (start + i), 1 + i % 2, 0) for i in range(4000)])
    path = tmp_path / "long.pmt"
    path.write_bytes(w.finish(1 << 40))
    child = subprocess.Popen(
        [sys.executable, "-m", "pymemtrace", "log", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout and child.stderr
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(30) == 141
    assert child.stderr.read() == b""


def test_calls(trace: Path) -> None:
    found = {row["function"]: row for row in json.loads(run("calls", "--json", trace))["functions"]}
    assert (found["work"]["calls"], found["work"]["time_ns"], found["work"]["time_self_ns"]) == (1, 640, 480)
    assert (found["work"]["change"], found["work"]["growth"], found["work"]["release"]) == (
        40960,
        103 * 4096,
        93 * 4096,
    )
    assert found["work"]["largest"] == 103 * 4096
    assert (found["work"]["touched"], found["work"]["touched_self"]) == (3 * 4096, 3 * 4096)
    assert (found["grow"]["growth_self"], found["shrink"]["release_self"]) == (100 * 4096, 93 * 4096)
    out = run("calls", trace, "--sort", "largest")
    assert out.index(" work ") < out.index(" grow ") < out.index(" shrink ")
    assert "invalid choice" in run("calls", trace, "--sort", "colour", status=2)


@pytest.mark.parametrize("column", ["growth", "self-growth", "release", "self-release", "touched", "self-touched"])
def test_calls_show_the_column_they_are_sorted_by(trace: Path, column: str) -> None:
    heading, *rows = run("calls", trace, "--sort", column).partition("by " + column)[2].strip().splitlines()
    names = heading.split()
    assert len(rows) >= 3
    assert column in names
    kind, _, alone = column.rpartition("-")[::-1]
    field = kind + ("_self" if alone else "")
    values = {row["function"]: row[field] for row in json.loads(run("calls", "--json", trace))["functions"]}
    for row in rows:
        cells = re.split(r"  +", row.strip())
        size = cells[names.index(column)]
        assert size == units.size(values[cells[names.index("function")]]), row


def test_lines(trace: Path) -> None:
    found = {
        (row["file"].rpartition("/")[2], row["line"]): row for row in json.loads(run("lines", "--json", trace))["lines"]
    }
    assert (found["app.py", 2]["hits"], found["app.py", 2]["change"], found["app.py", 2]["time_ns"]) == (
        1,
        103 * 4096,
        320,
    )
    assert found["app.py", 3]["release"] == 93 * 4096
    out = run("lines", trace, "app.py")
    assert "def work():" in out and "    grow()" in out and "+412.0 KiB" in out
    assert "nothing was recorded in a file 'pp.py'" in run("lines", trace, "pp.py", status=2)
    (trace.parent / "app.py").unlink()
    assert "The source is not there to be read" in run("lines", trace)


def test_tree(trace: Path) -> None:
    nodes = json.loads(run("tree", "--json", trace))["nodes"]
    assert [(n["id"], n["parent"], n["function"], n["calls"]) for n in nodes] == [
        (0, None, "(all)", 0),
        (1, 0, "work", 1),
        (2, 1, "grow", 1),
        (3, 1, "shrink", 1),
    ]
    assert [n["change"] // 4096 for n in nodes] == [10, 10, 100, -93]
    out = run("tree", "--min-share", "0", trace)
    assert out.index("  work  ") < out.index("    grow  ") < out.index("    shrink  ")
    assert "total" in run("tree", "--touched", trace)


def test_info(trace: Path) -> None:
    out = run("info", trace)
    for text in ("calls, returns and lines, by profile hooks", "events lost", "4 times by the hooks (tracked)"):
        assert text in out


@pytest.mark.parametrize("verb", ["log", "calls"])
def test_without_events(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.pmt"
    path.write_bytes(synth.small_trace())
    message = run(verb, path, status=2)
    assert "pymemtrace run --calls" in message and message.count("\n") == 1


def test_lines_without_events(tmp_path: Path) -> None:
    path = tmp_path / "plain.pmt"
    path.write_bytes(synth.small_trace())
    assert "only what was touched is known" in run("lines", path)


def test_lines_that_only_call_are_not_shown(tmp_path: Path) -> None:
    """No column has anything of them: what was touched below stands at the line that touched."""
    w = synth.Writer()
    p = w.process(100, 1, 10)
    w.batch(w.thread(p, 100, 20, "main"))
    for code, file in (1, "caller.py"), (2, "callee.py"):
        w.raw(encode.code(p, code, 10, file, "f") + encode.code_lines(p, code, encode.line_run(8, 0)))
    w.fault(150, 0x1000_0000, 3, w.node(w.node(w.root(p), 1, 0), 2, 0))
    path = tmp_path / "calls.pmt"
    path.write_bytes(w.finish(200))
    found = {row["file"]: row["touched"] for row in json.loads(run("lines", path, "--json"))["lines"]}
    assert found == {"caller.py": 3 * 4096, "callee.py": 3 * 4096}
    out = run("lines", path, "-n", "0")
    assert "callee.py" in out and "caller.py" not in out


def test_python_interface(trace: Path) -> None:
    from pymemtrace.tracefile import TraceFile

    found = TraceFile(trace)
    assert [row.function for row in found.calls][:2] == ["grow", "work"]
    assert [(line.line, line.hits) for line in found.lines("app.py")] == [(2, 1), (3, 1)]
    rows = list(found.log(function="work", since=1e-6))
    assert [(row.kind, row.depth, row.line) for row in rows] == [
        ("call", 0, 1),
        ("line", 0, 2),
        ("fault", 0, None),
        ("line", 0, 3),
        ("unwind", 0, 3),
    ]
    assert sum(row.change for row in found.log()) == 10 * 4096
