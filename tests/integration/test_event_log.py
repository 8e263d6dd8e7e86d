"""The event log of real runs equals what an independent tracer records, event by event."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from integration import harness

PROGRAMS = sorted((harness.TARGETS / "events").glob("*.py"))
SLOW_TRACER = Path(__file__).parents[1] / "oracle" / "slow_tracer.py"
OPENS = ("call", "resume", "throw", "c_call")
CLOSES = ("return", "yield", "unwind", "c_return", "c_raise")

Sequence = tuple[tuple[str, str, int | None], ...]


def log(trace: Path, *options: str) -> list[dict[str, Any]]:
    done = harness.run(harness.pymemtrace("log", trace, "--json", *options))
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def traced(tmp_path: Path, program: Path, *options: str) -> Path:
    trace = tmp_path / "events.pmt"
    done = harness.run(harness.pymemtrace("run", "-q", "-o", trace, *options, program))
    assert done.status == 0, done.stderr
    return trace


def in_c(kind: str) -> bool:
    return kind.startswith("c_")


def own_events(rows: list[dict[str, Any]], program: Path) -> Counter[tuple[Sequence, ...]]:
    """For each process its threads' sequences of the program's own events, threads in the order of their first one."""
    processes: dict[int, dict[int, list[tuple[str, str, int | None]]]] = defaultdict(dict)
    files: dict[int, list[str]] = defaultdict(list)  # of a thread's open Python frames
    for row in rows:
        kind, tid = row["kind"], row["tid"]
        open_files = files[tid]
        file = (open_files[-1] if open_files else None) if in_c(kind) else row["file"]
        if kind in OPENS + CLOSES + ("line",) and file == str(program):
            line = row["line"] if kind == "line" else None
            processes[row["pid"]].setdefault(tid, []).append((kind, row["function"], line))
        if kind in OPENS and not in_c(kind):
            open_files.append(row["file"])
        elif kind in CLOSES and not in_c(kind) and open_files:
            open_files.pop()
    return Counter(tuple(tuple(events) for events in threads.values()) for threads in processes.values())


def expected_events(tmp_path: Path, program: Path, mode: str) -> Counter[tuple[Sequence, ...]]:
    out = tmp_path / "slow"
    harness.run([sys.executable, SLOW_TRACER, out, mode, program])
    processes = []
    for file in tmp_path.glob("slow.*"):
        threads: dict[int, list[tuple[str, str, int | None]]] = defaultdict(list)
        for text in file.read_text().splitlines():
            thread, kind, function, line = json.loads(text)
            threads[thread].append((kind, function, line))
        processes.append(tuple(tuple(threads[i]) for i in sorted(threads)))
    return Counter(processes)


def without_depth(processes: Counter[tuple[Sequence, ...]]) -> Counter[tuple[Sequence, ...]]:
    """How deep a recursion may go depends on what is below it: each event once, in the order of its first time."""
    return Counter(tuple(tuple(dict.fromkeys(events)) for events in threads) for threads in processes)


def in_any_order(processes: Counter[tuple[Sequence, ...]]) -> Counter[tuple[Sequence, ...]]:
    """Which of several threads begins first is the scheduler's choice."""
    return Counter({tuple(sorted(threads)): count for threads, count in processes.items()})


def lines_of(processes: Counter[tuple[Sequence, ...]]) -> list[str]:
    return [f"{kind} {name} {line or ''}" for threads in processes for events in threads for kind, name, line in events]


@pytest.mark.parametrize("mode", ["calls", "lines"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_events_are_those_of_an_independent_tracer(tmp_path: Path, program: Path, mode: str) -> None:
    if program.stem == "recursion_limit" and sys.version_info < (3, 12):
        pytest.skip("the tracer in Python itself meets the limit on 3.11")
    normal = without_depth if program.stem == "recursion_limit" else in_any_order
    found = normal(own_events(log(traced(tmp_path, program, f"--{mode}")), program))
    expected = normal(expected_events(tmp_path, program, mode))
    assert any(threads for threads in expected)
    assert found == expected, "\n".join(difflib.unified_diff(lines_of(expected), lines_of(found), "expected", "found"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_call_and_its_return_stand_at_the_same_depth_and_all_end_at_zero(tmp_path: Path, program: Path) -> None:
    open_frames: dict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    forks: set[int] = set()
    rows = log(traced(tmp_path, program, "--calls"))
    root = rows[0]["pid"]
    for row in rows:
        frames = open_frames[row["pid"], row["tid"]]
        if row["pid"] != root:
            forks.add(row["pid"])
            continue  # a fork child begins within frames that it did not call
        if row["kind"] in OPENS:
            del frames[row["depth"] :]  # generators that were closed while suspended end without an event
            assert row["depth"] == len(frames), row
            frames.append((row["function"], row["file"]))
        elif row["kind"] in CLOSES:
            del frames[row["depth"] + 1 :]
            if not frames and sys.version_info < (3, 12) and row["file"].endswith("/threading.py"):
                continue  # a thread gets its hooks when it is already in these frames
            assert frames.pop() == (row["function"], row["file"]), row
            assert row["depth"] == len(frames), row
    assert {thread: frames for thread, frames in open_frames.items() if frames} == {}
    assert bool(forks) == (program.stem == "forks")


def test_the_changes_add_up(tmp_path: Path) -> None:
    trace = traced(tmp_path, harness.TARGETS / "events" / "c_calls.py", "--lines")
    rows = log(trace)
    rss = json.loads(harness.run(harness.pymemtrace("report", "--json", trace)).stdout)["rss"]
    for before, row in itertools.pairwise(rows):
        assert row["rss"] - before["rss"] == row["change"]
    assert sum(row["change"] for row in rows[1:]) == rows[-1]["rss"] - rows[0]["rss"]
    assert rows[0]["rss"] - rows[0]["change"] == rss["start"]
    assert abs(rows[-1]["rss"] - rss["end"]) <= 1 << 20


SIZE = 8 << 20
GROWING = f"""
import mmap

def grow():
    memory = mmap.mmap(-1, {SIZE})
    memory[::{harness.PAGE}] = bytes({SIZE // harness.PAGE})
    kept.append(memory)

def shrink():
    kept.pop().close()

kept = []
for _ in range(5):
    grow()
    shrink()
"""


@pytest.mark.parametrize("rss", ["tracked", "every"])
def test_growth_stands_in_the_call_and_on_the_line_where_it_happened(tmp_path: Path, rss: str) -> None:
    program = tmp_path / "growing.py"
    program.write_text(GROWING)
    rows = log(traced(tmp_path, program, "--lines", "--rss", rss))
    touched: Counter[int] = Counter()
    for row in rows:
        if row["kind"] == "fault" and row["file"] == str(program):
            touched[row["line"]] += row["change"]
    assert touched[6] == pytest.approx(5 * SIZE, rel=0.02)
    closed = [row["change"] for row in rows if (row["kind"], row["function"]) == ("c_return", "mmap.close")]
    assert closed == pytest.approx(5 * [-SIZE], rel=0.02)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the profile function of 3.11 hears of builtin functions only")
def test_callables_of_extension_modules_have_their_own_names(tmp_path: Path) -> None:
    program = tmp_path / "drawing.py"
    program.write_text("import numpy\nnumpy.add(numpy.random.default_rng(1).integers(0, 9, 9), 1)\n")
    rows = log(traced(tmp_path, program, "--calls"), "--thread", "MainThread")
    called = {(row["function"], row["file"]) for row in rows if row["kind"] == "c_call"}
    assert ("Generator.integers", "<numpy.random._generator>") in called  # made by Cython
    assert ("add", "<numpy>") in called  # a ufunc


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring is shared")
def test_a_log_cut_short_by_a_profile_function_says_so(tmp_path: Path) -> None:
    program = tmp_path / "profiled.py"
    displaced = "f()\nsys.setprofile(lambda *_: None)\nf()\nsys.setprofile(None)\nf()\n"
    program.write_text(f"import sys\ndef f(): pass\n{displaced}")
    trace = traced(tmp_path, program, "--calls")
    done = harness.run(harness.pymemtrace("log", trace))
    assert "the log of 1 thread: the program set a profile" in " ".join(done.stdout.split())
    assert [row["function"] for row in log(trace) if row["kind"] == "call"].count("f") == 1
    trace.unlink()
    program.write_text("def f(): pass\nf()\n")
    assert "cut short" not in harness.run(harness.pymemtrace("log", traced(tmp_path, program, "--calls"))).stdout


def child_that_runs(pid: int, program: Path) -> int:
    children = harness.children(pid)
    return next(child for child in children if str(program) in Path(f"/proc/{child}/cmdline").read_text())


@pytest.mark.stress
def test_a_trace_is_readable_up_to_the_kill(tmp_path: Path) -> None:
    program = tmp_path / "busy.py"
    program.write_text("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nwhile True:\n    f(12)\n")
    for attempt in range(100):
        trace = tmp_path / f"killed-{attempt}.pmt"
        process = harness.popen(harness.pymemtrace("run", "-q", "-o", trace, "--calls", program))
        time.sleep(0.2 + random.random() / 4)
        os.kill(child_that_runs(process.pid, program), signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
        done = harness.run(harness.pymemtrace("calls", trace, "--json"))
        assert done.status == 0, done.stderr
        assert json.loads(done.stdout)["functions"], attempt
        trace.unlink()


@pytest.mark.parametrize("verb", ["log", "calls"])
def test_nothing_was_let_through(tmp_path: Path, verb: str) -> None:
    trace = traced(tmp_path, PROGRAMS[0], "--calls", "--include", "no.such.module")
    done = harness.cli(verb, trace)
    harness.assert_one_line(done)
    assert "--include and --exclude" in done.stderr
