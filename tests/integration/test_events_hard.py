"""The event log of programs that make it hard: ids that change, threads that come and go, ends of all sorts, a recorder
that stops or dies. The program's output is what it is bare, and what the log says is exact.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from integration import harness

OPENS = ("call", "resume", "throw", "c_call")
CLOSES = ("return", "yield", "unwind", "c_return", "c_raise")
EVENTS = (*OPENS, *CLOSES, "line")
needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 recurses on the C stack when traced")

Row = dict[str, Any]


def write(tmp_path: Path, code: str) -> Path:
    program = tmp_path / "program.py"
    program.write_text(code)
    return program


def traced(tmp_path: Path, code: str, *options: str, timeout: float = 60) -> Path:
    """The trace of a program whose output and end are those of the bare one."""
    program, trace = write(tmp_path, code), tmp_path / "events.pmt"
    bare = harness.run([sys.executable, program], timeout=timeout)
    recorded = harness.run(harness.pymemtrace("run", "-q", "-o", trace, *options, program), timeout=timeout)
    harness.assert_same(bare, recorded)
    return trace


def read(verb: str, trace: Path, *options: str) -> str:
    done = harness.run(harness.pymemtrace(verb, trace, "--json", *options), timeout=200)
    assert done.status == 0, done.stderr
    return done.stdout


def log(trace: Path, *options: str) -> list[Row]:
    return [json.loads(line) for line in read("log", trace, *options).splitlines()]


def calls(trace: Path, file: Path | None = None) -> dict[str, int]:
    """Calls by function, of one file or all."""
    counts: Counter[str] = Counter()
    for row in json.loads(read("calls", trace))["functions"]:
        if file is None or row["file"] == str(file):
            counts[row["function"]] += row["calls"]
    return dict(counts)


def facts(trace: Path) -> dict[str, Any]:
    done: dict[str, Any] = json.loads(read("info", trace))
    return done


def counters(trace: Path) -> dict[str, int]:
    [process] = [process for process in facts(trace)["processes"] if process["traced"]]
    found: dict[str, int] = process["counters"]
    return found


def assert_nested(rows: list[Row]) -> None:
    """Each end is that of the innermost frame, which has the name it began with; no frame comes or goes in silence, but
    that on 3.11 a thread is in some of `threading` already when its hooks are set.
    """
    frames: dict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        stack, name = frames[row["pid"], row["tid"]], (row["function"], row["file"])
        if row["kind"] in OPENS:
            assert row["depth"] == len(stack), row
            stack.append(name)
        elif row["kind"] in CLOSES and (stack or sys.version_info >= (3, 12) or "threading.py" not in str(row["file"])):
            assert stack and stack.pop() == name, row
            assert row["depth"] == len(stack), row
    assert not [stack for stack in frames.values() if stack]


# Many functions

FUNCTIONS = 60_000  # more than the table of ids holds
MANY = f"""
def define(first, last):
    names = {{}}
    source = "".join(f"def f{{i}}(): return g(h)\\n" for i in range(first, last))
    exec(compile(source, f"<made {{first}}>", "exec"), {{"g": g, "h": h}}, names)
    return names.values()

def h():
    pass

def g(function):
    function()

def outer(functions):
    for function in functions:
        function()

functions = [f for first in range(0, {FUNCTIONS}, 1000) for f in define(first, first + 1000)]
for _ in range(2):
    outer(functions)
"""


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["--calls", "--lines"])
def test_more_functions_than_ids_are_kept_for(tmp_path: Path, mode: str) -> None:
    trace = traced(tmp_path, MANY, mode, timeout=120)
    found = calls(trace)
    assert found["outer"] == 2
    assert found["h"] == found["g"] == 2 * FUNCTIONS
    assert [name for i in range(FUNCTIONS) if found.get(name := f"f{i}") != 2] == []
    assert_nested(log(trace))


MADE = """
import resource

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

for i in range(20000):
    if i == 4000:
        begin = rss()
    names = {}
    exec(f"def made_{i}(): return {i}", names)
    names[f"made_{i}"]()
with open("rss", "w") as file:
    print(rss() - begin, file=file)
"""


def test_code_that_is_made_and_dropped(tmp_path: Path) -> None:
    program, trace = write(tmp_path, MADE), tmp_path / "events.pmt"
    harness.run([sys.executable, program], cwd=tmp_path)
    bare = int((tmp_path / "rss").read_text())  # pages: Python keeps the names
    done = harness.run(harness.pymemtrace("run", "-q", "-o", trace, "--calls", program), cwd=tmp_path)
    assert done.status == 0, done.stderr
    found = calls(trace)
    assert [name for i in range(20000) if found.get(name := f"made_{i}") != 1] == []
    assert int((tmp_path / "rss").read_text()) <= bare + 64
    assert_nested(log(trace))


# Threads

CHURN = """
import threading

def f():
    pass

def work():
    for _ in range(20):
        f()

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def round(threads):
    started = [threading.Thread(target=work) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()

sizes = []
for _ in range(250):
    round(4)
    sizes.append(rss())
with open("rss", "w") as file:
    print(*sizes, file=file)
"""


def test_threads_that_come_and_go(tmp_path: Path) -> None:
    program, trace = write(tmp_path, CHURN), tmp_path / "events.pmt"
    done = harness.run(harness.pymemtrace("run", "-q", "-o", trace, "--calls", program), cwd=tmp_path)
    assert done.status == 0, done.stderr
    found = calls(trace, program)
    assert found["work"] == 1000
    assert found["f"] == 20_000
    sizes = [int(word) for word in (tmp_path / "rss").read_text().split()]
    assert max(sizes[50:]) - sizes[50] <= 256, "pages: slots are used again"
    assert_nested(log(trace))


FULL = """
import threading

def f():
    pass

def work():
    for _ in range(100_000):
        f()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_lanes_of_many_threads_are_full(tmp_path: Path) -> None:
    trace = traced(tmp_path, FULL, "--calls")
    found = calls(trace, tmp_path / "program.py")
    assert (found["f"], found["work"]) == (800_000, 8)
    assert counters(trace)["events_lost"] == 0


# Forks, execs, ends

FORKS = """
import os, threading, time

over = threading.Event()

def spin():
    while not over.wait(0.0001):
        leaf()

def leaf():
    return len("abc")

def child():
    for _ in range(100):
        leaf()

def middle(depth):
    if depth:
        return middle(depth - 1)
    pids = []
    for _ in range(5):
        pid = os.fork()
        if not pid:
            child()
            return True
        pids.append(pid)
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    return False

threads = [threading.Thread(target=spin) for _ in range(2)]
for thread in threads:
    thread.start()
is_child = middle(5)
if is_child:
    os._exit(7)
over.set()
for thread in threads:
    thread.join()
print("done")
"""


def test_forks_amid_calls_and_threads(tmp_path: Path) -> None:
    program, trace = write(tmp_path, FORKS), tmp_path / "events.pmt"
    done = harness.run(harness.pymemtrace("run", "-q", "-o", trace, "--calls", program))
    assert (done.status, done.stdout) == (0, "done\n"), done.stderr
    pids = {process["pid"]: process for process in facts(trace)["processes"]}
    assert len(pids) == 6
    rows = log(trace)
    by_process = Counter((row["pid"], row["function"]) for row in rows if row["kind"] == "call")
    children = {pid for pid, process in pids.items() if process["parent"] in pids}
    assert len(children) == 5
    for child in children:
        assert by_process[child, "child"] == 1
        assert by_process[child, "leaf"] == 100
        returns = [row["function"] for row in rows if (row["pid"], row["kind"]) == (child, "return")]
        assert returns[-6:] == ["middle"] * 6
    [root] = pids.keys() - children
    assert_nested([row for row in rows if row["pid"] == root])


FORKS_AT_ONCE = """
import os
def work():
    memory = bytearray(1 << 20)
    for _ in range(200):
        len("abc")
for _ in range(5):
    pids = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            work()
            os._exit(7)
        pids.append(pid)
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
print("done")
"""


@pytest.mark.parametrize(
    "options", [("--calls",), ("--calls", "--include", "__main__"), ("--lines", "--exclude", "json")]
)
def test_forks_at_once(options: tuple[str, ...], tmp_path: Path) -> None:
    program, trace = write(tmp_path, FORKS_AT_ONCE), tmp_path / "events.pmt"
    done = harness.run(harness.pymemtrace("run", "-q", "-o", trace, *options, program))
    assert (done.status, done.stdout) == (0, "done\n"), done.stderr
    rows = log(trace)
    by_process = {pid: [row for row in rows if row["pid"] == pid] for pid in {row["pid"] for row in rows}}
    assert len(by_process) == 21
    for mine in by_process.values():
        assert (mine[0]["kind"], mine[0]["function"] or mine[0].get("text")) == ("mark", "start")
        assert sum(row["change"] for row in mine) == mine[-1]["rss"] - mine[0]["rss"]


def test_the_head_says_that_sections_differ(tmp_path: Path) -> None:
    sections = "with pymemtrace.Profile(c_calls=False): f()\nwith pymemtrace.Trace(rss='every'): f()\n"
    program, trace = write(tmp_path, "import pymemtrace\ndef f(): pass\n" + sections), tmp_path / "events.pmt"
    assert harness.run(harness.pymemtrace("run", "-q", "-o", trace, program)).status == 0
    head = harness.cli("log", trace).stdout[:1500]
    assert "in some sections lines too, in some sections without C calls" in head
    assert "in some sections read at each event" in head


ENDS = {
    "exec": """
import os, sys
def before():
    if len(sys.argv) == 1:
        print("before", flush=True)
        os.execv(sys.executable, [sys.executable, __file__, "again"])
def after():
    print("after")
before()
after()
""",
    "exit in a thread": """
import sys, threading
def work():
    sys.exit(3)
def last():
    print("last")
thread = threading.Thread(target=work)
thread.start()
thread.join()
last()
""",
    "daemon threads": """
import threading, time
def leaf():
    return sum([1, 2, 3])
def spin():
    started.set()
    while True:
        leaf()
started = threading.Event()
for _ in range(3):
    threading.Thread(target=spin, daemon=True).start()
def last():
    started.wait()
    print("last")
last()
""",
    "generators at the end": """
import sys
def gen(name):
    try:
        yield name
    finally:
        closing(name)
def closing(name):
    print("closing", name)
class Late:
    def __del__(self):
        print("late")
def main():
    global kept, late, cycle
    kept = gen("global")
    next(kept)
    late = Late()
    cycle = [gen("in a cycle")]
    cycle.append(cycle)
    next(cycle[0])
def last():
    main()
    sys.stdout.flush()
last()
""",
    "an exception": """
def last():
    raise KeyError("gone")
last()
""",
    "os._exit": """
import os
def last():
    os._exit(9)
last()
""",
    "at exit": """
import atexit
@atexit.register
def last():
    print("at exit")
""",
}


@pytest.mark.parametrize("mode", ["--calls", "--lines"])
@pytest.mark.parametrize("end", ENDS)
def test_ends(tmp_path: Path, end: str, mode: str) -> None:
    trace = traced(tmp_path, ENDS[end], mode)
    found = calls(trace, tmp_path / "program.py")
    if end == "exec":
        assert (found["before"], found["after"]) == (2, 1)
    else:
        assert found["last"] == 1
    if end == "generators at the end":  # what is finalised after the program's end is not in the log
        assert found.keys() & {"gen", "closing", "Late.__del__"} == {"gen"}


@needs_monitoring
@pytest.mark.parametrize("mode", ["--calls", "--lines"])
def test_deep_recursion(tmp_path: Path, mode: str) -> None:
    depth = 50_000
    code = f"""
import sys
sys.setrecursionlimit({depth + 1000})
def down(n):
    return down(n - 1) if n else 0
print(down({depth}))
"""
    trace = traced(tmp_path, code, mode, "--engine", "none")  # stacks of faults would be most of the work
    rows = log(trace)
    assert_nested(rows)
    assert max(row["depth"] for row in rows if row["function"] == "down") == depth + 1
    assert calls(trace)["down"] == depth + 1


# The recorder stops, or dies

COUNTED = """
import sys

def f():
    pass

def main():
    for _ in range(300_000):
        f()

def again():
    for _ in range(1000):
        f()

print("ready", flush=True)
sys.stdin.readline()
main()
print("done", flush=True)
sys.stdin.readline()
again()
"""


def at_its_start(tmp_path: Path, *options: str) -> tuple[subprocess.Popen[bytes], Path, int]:
    """The counted program before it counts, its trace and its recorder."""
    trace = tmp_path / "events.pmt"
    command = harness.pymemtrace("run", "-q", "-o", trace, *options, write(tmp_path, COUNTED))
    process = harness.popen(command, stdin=subprocess.PIPE)
    harness.answer(process, b"ready")
    time.sleep(0.2)  # all that was before is in the log
    [recorder] = harness.holders(trace)
    return process, trace, recorder


def count(process: subprocess.Popen[bytes]) -> float:
    """Let it count; the seconds that took."""
    assert process.stdin
    begin = time.monotonic()
    process.stdin.write(b"\n")
    process.stdin.flush()
    harness.answer(process, b"done")
    return time.monotonic() - begin


def untroubled(tmp_path: Path) -> int:
    """The events of the whole program."""
    folder = tmp_path / "untroubled"
    folder.mkdir()
    process, trace, _ = at_its_start(folder, "--calls")
    count(process)
    process.communicate(b"\n", timeout=60)
    found = counters(trace)
    assert found["events_lost"] == 0
    assert found["events"] == sum(1 for row in log(trace) if row["kind"] in EVENTS)
    return found["events"]


@pytest.mark.parametrize("options", [("--calls",), ("--calls", "--drop")], ids=" ".join)
def test_the_recorder_is_stopped(tmp_path: Path, options: tuple[str, ...]) -> None:
    process, trace, recorder = at_its_start(tmp_path, *options)
    os.kill(recorder, signal.SIGSTOP)
    took = count(process)
    os.kill(recorder, signal.SIGCONT)
    time.sleep(0.5)
    process.communicate(b"\n", timeout=30)
    assert process.returncode == 0
    assert took < (0.9 if "--drop" in options else 2.5)
    found = counters(trace)
    rows = log(trace)
    assert found["events_lost"] > 400_000
    assert found["events"] == sum(1 for row in rows if row["kind"] in EVENTS)
    assert found["events"] + found["events_lost"] == untroubled(tmp_path)
    [lost] = [i for i, row in enumerate(rows) if row["kind"] == "lost"]
    assert 0 <= found["events_lost"] - rows[lost]["events"] <= 1, "the end of a C call that is lost itself"
    after = Counter((row["kind"], row["function"]) for row in rows[lost:])
    assert after["call", "again"] == after["return", "again"] == 1
    assert after["call", "f"] == after["return", "f"] == 1000
    assert rows[-1]["depth"] == 0


ENDING = """
import os, sys, threading, time

def f():
    pass

def ending():
    for _ in range(300_000):
        f()

def again():
    for _ in range(1000):
        f()

def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()

print("ready", flush=True)
sys.stdin.readline()
in_a_thread(ending)
AFTER
print("done", flush=True)
END
"""


@pytest.mark.parametrize("after", ["", "time.sleep(0.1); in_a_thread(again)"], ids=["the last", "slot taken"])
@pytest.mark.parametrize("end", ["sys.stdin.readline()", "os.kill(os.getpid(), 9)"], ids=["exit", "kill"])
def test_losses_at_a_threads_very_end(tmp_path: Path, after: str, end: str) -> None:
    """Nobody comes to tell of them: neither the thread, nor, if it is killed, the process."""
    program, trace = write(tmp_path, ENDING.replace("AFTER", after).replace("END\n", end)), tmp_path / "events.pmt"
    command = harness.pymemtrace("run", "-q", "-o", trace, "--calls", "--drop", program)
    process = harness.popen(command, stdin=subprocess.PIPE)
    harness.answer(process, b"ready")
    time.sleep(0.2)
    [recorder] = harness.holders(trace)
    os.kill(recorder, signal.SIGSTOP)
    count(process)
    with contextlib.suppress(ProcessLookupError):  # the launcher wakes it when the program has ended
        os.kill(recorder, signal.SIGCONT)
    time.sleep(0.5)
    process.communicate(b"\n", timeout=30)
    rows, found = log(trace), counters(trace)
    lost = [row for row in rows if row["kind"] == "lost"]
    assert found["events_lost"] > 400_000
    assert 0 <= found["events_lost"] - sum(row["events"] for row in lost) <= 1
    [at_the_end] = [row for row in lost if row["events"] > 400_000]
    thread = [row for row in rows if row["tid"] == at_the_end["tid"] and row["t"] <= at_the_end["t"]]
    assert at_the_end["tid"] != at_the_end["pid"] and {"ending", "f"} <= {row["function"] for row in thread}
    calls_of_f = sum(row["kind"] == "call" and row["function"] == "f" for row in thread)
    assert 2 * calls_of_f <= 600_000 - at_the_end["events"] + 200
    if not after:
        assert thread[-1] == at_the_end


def test_the_recorder_is_killed(tmp_path: Path) -> None:
    process, trace, recorder = at_its_start(tmp_path, "--calls")
    os.kill(recorder, signal.SIGKILL)
    assert count(process) < 3
    assert process.communicate(b"\n", timeout=30)[0] == b""
    assert process.returncode == 0
    assert log(trace)
