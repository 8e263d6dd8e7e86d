"""Hooks, as the recorder sees them: the lanes of real programs, read by a recorder of the tests' own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lane_reader import Event, Process, Recorder

MONITORING = sys.version_info >= (3, 12)
needs_monitoring = pytest.mark.skipif(not MONITORING, reason="sys.monitoring is new in 3.12")

OPENS = ("call", "resume", "throw", "c_call")
CLOSES = ("return", "yield", "unwind", "c_return", "c_raise")


def record(options: str, code: str, **more: object) -> Process:
    with Recorder() as recorder:
        done = recorder.run(options, ["-c", code], **more)
        assert done.returncode == 0, done.stderr
    return recorder.processes[0]


def kinds(events: list[Event], *unwanted: str) -> list[tuple[str, object]]:
    leave = ("rss", "time", "stack", "code", *unwanted)
    return [(event.kind, event.value) for event in events if event.kind not in leave]


def indented(process: Process, slot: int = 0) -> list[str]:
    """One line an event, by depth; fails where a return names another function than its call."""
    lines: list[str] = []
    open_frames: list[object] = []
    for kind, value in kinds(process.events(slot), "exception"):
        if kind in CLOSES:
            assert open_frames and open_frames.pop() == value, (kind, value, lines[-5:])
        lines.append(f"{' ' * len(open_frames)}{kind} {value}")
        if kind in OPENS:
            open_frames.append(value)
    assert not open_frames
    return lines


# Python functions


def test_calls_of_functions_generators_and_exceptions() -> None:
    code = """
def gen():
    got = yield 1
    yield 2
def fail():
    raise KeyError
def main():
    g = gen()
    next(g)
    g.send(3)
    try:
        fail()
    except KeyError:
        pass
    try:
        g.throw(ValueError)
    except ValueError:
        pass
main()
"""
    assert indented(record("calls,no-c-calls", code)) == [
        "call <module>",
        " call main",
        "  call gen",
        "  yield gen",
        "  resume gen",
        "  yield gen",
        "  call fail",
        "  unwind fail",
        "  throw gen",
        "  unwind gen",
        " return main",
        "return <module>",
    ]


@pytest.mark.parametrize("options", ["lines", pytest.param("calls", marks=needs_monitoring)])
def test_the_type_of_an_exception_is_told_before_the_unwind(options: str) -> None:
    code = "class Odd(Exception): pass\ndef f(): raise Odd\ndef g(): f()\ntry:\n    g()\nexcept Odd: pass\n"
    events = kinds(record(f"{options},no-c-calls", code).events(), "line")
    told = [(kind, value) for kind, value in events if kind in ("exception", "unwind")]
    assert told == [("exception", "Odd"), ("unwind", "f"), ("exception", "Odd"), ("unwind", "g")]


def test_lines_belong_to_the_code_named_before_them() -> None:
    code = "def f(x):\n    y = x\n    return y\na = 1\nf(a)\nf(2)\nb = 3\n"
    where = None
    lines = []
    for event in record("lines,no-c-calls", code).events():
        where = event.value if event.kind == "code" else where
        if event.kind == "line":
            lines.append((where, event.value))
    module, f = "<module>", "f"
    inner = [(f, 2), (f, 3)]
    assert [pair for pair in lines if pair != (module, 0)] == [
        (module, 1),
        (module, 4),
        (module, 5),
        *inner,
        (module, 6),
        *inner,
        (module, 7),
    ]


@pytest.mark.parametrize("options", ["calls", "lines"])
def test_the_first_event_of_a_script_is_its_module(tmp_path: Path, options: str) -> None:
    script = tmp_path / "script.py"
    script.write_text("x = [1]\n")
    with Recorder() as recorder:
        assert recorder.run(options, [str(script)]).returncode == 0
    events = kinds(recorder.events, "line")
    assert events == [("call", "<module>"), ("return", "<module>")]


def test_coroutines() -> None:
    code = """
class Pause:
    def __await__(self):
        yield
async def inner():
    await Pause()
async def outer():
    await inner()
c = outer()
c.send(None)
try:
    c.send(None)
except StopIteration:
    pass
"""
    lines = [line.strip() for line in indented(record("calls,no-c-calls", code))]
    assert lines[3:] == [
        "call outer",
        "call inner",
        "call Pause.__await__",
        "yield Pause.__await__",
        "yield inner",
        "yield outer",
        "resume outer",
        "resume inner",
        "resume Pause.__await__",
        "return Pause.__await__",
        "return inner",
        "return outer",
        "return <module>",
    ]


# C functions


@needs_monitoring
def test_c_functions_are_the_same_bound_and_unbound() -> None:
    code = """
x = []
x.append(1)
list.append(x, 2)
class L(list): pass
L().append(3)
len(x)
dict(a=1)
x.__len__()
list.__len__(x)
import functools
functools.partial(len, x)()
dict.fromkeys("a")
try:
    int("no")
except ValueError:
    pass
"""
    process = record("calls,include=__main__", code)
    called = [value for kind, value in kinds(process.events()) if kind == "c_call"]
    names = [name for name in called if name not in ("__build_class__", "L", "__import__")]
    methods = ["list.append", "list.append", "list.append", "len", "dict", "list.__len__", "list.__len__"]
    assert names == [*methods, "partial", "partial.__call__", "dict.fromkeys", "int"]
    indented(process)
    files = {name: file for name, file, _ in process.names.values()}
    assert files["list.append"] == "<builtins>" and files["partial"] == "<functools>"
    numbers = [number for number, (name, _, _) in process.names.items() if name == "list.append"]
    assert len(numbers) == 1


def test_callbacks_nest_in_their_c_function() -> None:
    code = "def key(x): return x\nsorted([2, 1], key=key)\n"
    lines = [line.strip() for line in indented(record("calls", code))]
    assert lines == [
        "call <module>",
        "c_call sorted",
        "call key",
        "return key",
        "call key",
        "return key",
        "c_return sorted",
        "return <module>",
    ]


def test_no_c_calls() -> None:
    assert not [kind for kind, _ in kinds(record("calls,no-c-calls", "len([])").events()) if kind.startswith("c_")]


# What is left out


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ("include=a", {"f"}),
        ("exclude=a", {"g", "C.m", "<module>"}),
        ("include=b", {"g", "C.m"}),
        ("include=b.C", {"C.m"}),
        ("include=C.*", {"C.m"}),
        ("include=*/b.py", {"g", "C.m"}),
        ("include=b.py,exclude=g", {"C.m"}),
    ],
)
def test_patterns(tmp_path: Path, options: str, seen: set[str]) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    (tmp_path / "b.py").write_text("def g(): pass\nclass C:\n    def m(self): return [].append(1)\n")
    code = "import a, b\na.f(); b.g(); b.C().m()\n"
    process = record(
        f"calls,{options},exclude=importlib,exclude=_frozen_importlib*,exclude=zipimport", code, cwd=tmp_path
    )
    names = {value for kind, value in kinds(process.events()) if kind == "call"} - {"C"}
    names = {str(name) for name in names if "MetaFinder" not in str(name)}  # setuptools' own, on 3.11
    if "include" in options:
        assert names - {"<module>"} == seen
    else:
        assert names == seen
    assert process.meta["exclude"].endswith("importlib\0_frozen_importlib*\0zipimport")


@needs_monitoring
def test_code_that_is_left_out_is_not_called_for_again() -> None:
    """Its events are disabled: the calls of a million functions cost what they would without hooks."""
    code = """
import sys, time
def f(): pass
def cost(n=20000):
    begin = time.perf_counter()
    for _ in range(n): f()
    return time.perf_counter() - begin
best = min(cost() for _ in range(50))
monitoring = sys.monitoring
monitoring.set_events(3, 0)
bare = min(cost() for _ in range(50))
assert best < bare * 2, (best, bare)  # 1.02; with events 5 and more
"""
    events = kinds(record("calls,no-c-calls,exclude=__main__", code).events())
    assert ("call", "f") not in events and ("call", "cost") not in events


# Threads and processes


def test_threads_have_lanes_of_their_own() -> None:
    code = """
import threading
def work(n):
    return n and work(n - 1)
threads = [threading.Thread(target=work, args=(3,)) for _ in range(3)]
for t in threads: t.start()
for t in threads: t.join()
"""
    process = record("calls,no-c-calls", code)
    depths = [
        sum(event.value == "work" and event.kind == "call" for event in process.events(slot)) for slot in process.raw
    ]
    assert sum(depths) == 12 and depths[0] == 0
    indented(process)


def test_a_fork_child_goes_on_in_lanes_of_its_own() -> None:
    code = """
import os
def before(): pass
def child(): pass
def parent(): pass
before()
pid = os.fork()
if pid == 0:
    child()
    os._exit(0)
os.waitpid(pid, 0)
parent()
"""
    with Recorder() as recorder:
        done = recorder.run("calls,no-c-calls", ["-c", code])
        assert done.returncode == 0, done.stderr
    first, second = recorder.processes
    calls = [{value for kind, value in kinds(p.events()) if kind == "call"} for p in (first, second)]
    assert {"before", "parent"} <= calls[0] and "child" not in calls[0]
    assert "child" in calls[1] and "parent" not in calls[1]
    stacks = [event.value for event in second.events() if event.kind == "stack"]
    assert stacks[0] == ["<module>"]


def test_a_fork_child_that_is_left_alone_has_no_hooks() -> None:
    code = """
import os, sys
if os.fork() == 0:
    taken = sys.monitoring.get_tool(3) if hasattr(sys, "monitoring") else sys.getprofile()
    os._exit(taken is not None)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    with Recorder() as recorder:
        assert recorder.run("calls,alone", ["-c", code]).returncode == 0
    assert len(recorder.processes) == 1


def test_a_python_that_the_program_starts_is_followed() -> None:
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'def f(): pass\\nf()'], check=True)\n"
    with Recorder() as recorder:
        done = recorder.run("calls,exclude=a%2Cb%20c", ["-c", code])
        assert done.returncode == 0, done.stderr
    assert [process.meta["exclude"] for process in recorder.processes] == ["a,b c", "a,b c"]
    assert ("call", "f") in kinds(recorder.processes[1].events())


# RSS and faults


def test_rss_is_told_before_the_event_after_it_changed() -> None:
    code = "def grow():\n    return bytearray(8 << 20)\ndef after(): pass\nkept = grow()\nafter()\n"
    events = record("calls,no-c-calls", code).events()
    rss = {}
    now = 0
    for event in events:
        now = int(event.value) if event.kind == "rss" else now
        rss[event.kind, str(event.value)] = now
    assert rss["return", "grow"] - rss["call", "grow"] >= 2000


def test_rss_read_at_each_event() -> None:
    process = record("calls,rss-every,no-c-calls", "def f(): pass\nfor _ in range(1000): f()\n")
    assert process.lanes is not None and process.lanes.get(48) >= 2000
    assert process.meta["events_rss"] == "every"


def test_faults_are_placed_between_the_events() -> None:
    code = "def grow():\n    return bytearray(4 << 20)\ndef idle(): pass\nidle()\nkept = grow()\nidle()\n"
    process = record("calls,no-c-calls", code)
    if process.meta["engine"] != "faults":
        pytest.skip("this kernel allows no page-fault events")
    words = process.raw[0]
    inside = [head for _, head, _ in process.faults if head]
    assert inside and max(inside) <= len(words)
    # the words before most faults end with the call of grow()
    head = max(set(inside), key=inside.count)
    number = next(n for n, (name, _, _) in process.names.items() if name == "grow")
    calls = [word for word in words[:head] if word & 15 in (1, 2)]
    assert calls[-1] & 15 == 1 and calls[-1] >> 4 & 0xFFFFFFF == number


# A recorder that is slow, or gone

BUSY = "def f(): pass\ndef g():\n    for _ in range(100000): f()\ng()\n"


def test_a_full_lane_waits() -> None:
    process = record("calls,no-c-calls", BUSY)
    assert process.lanes is not None
    assert sum(kind == "call" for kind, _ in kinds(process.events())) == 100002
    assert process.lanes.get(40) == 0


@pytest.mark.parametrize("options", ["calls,drop", "calls"])
def test_losses_are_counted_and_told(options: str) -> None:
    with Recorder() as recorder:
        code = f"import time\n{BUSY}time.sleep(0.5)\ng()\n"
        recorder.stall_after_greeting = True
        done = recorder.run(f"{options},no-c-calls,none", ["-c", code.replace("0.5", "2.5")])
        assert done.returncode == 0, done.stderr
    process = recorder.processes[0]
    events = process.events()
    assert process.lanes is not None
    lost = process.lanes.get(40)
    told = sum(event.value for event in events if event.kind == "lost")
    seen = sum(event.kind in ("call", "return") for event in events)
    assert lost > 100000 and told == lost
    assert seen + lost >= 2 * (1 + 2 + 200000)
    after = [i for i, event in enumerate(events) if event.kind == "lost"]
    assert all(events[i + 1].kind == "stack" for i in after)
    assert any(events[i + 1].value[:1] == ["<module>"] for i in after)


# Others that use the interpreter's facilities


def run_with(recorder: Recorder, code: str, options: str = "calls") -> subprocess.CompletedProcess[str]:
    done = recorder.run(options, ["-c", code])
    assert done.returncode == 0, done.stderr
    return done


@needs_monitoring
def test_taken_tool_ids_are_told_with_their_owners() -> None:
    code = """
import sys
for tool, name in ((3, "gizmo"), (4, "widget")):
    sys.monitoring.use_tool_id(tool, name)
from pymemtrace import _capture
print(_capture.hooks_on(False, False, False, False, [], [], "/own/"))
"""
    with Recorder() as recorder:
        done = run_with(recorder, code, "none")
    assert done.stdout == "sys.monitoring's free tool ids are taken: 3 by gizmo, 4 by widget\n"
    assert recorder.processes[0].meta["events_reason"] == done.stdout.strip()
    assert "events" not in recorder.processes[0].meta


@needs_monitoring
def test_the_second_tool_id_will_do_and_is_released() -> None:
    code = """
import sys
monitoring = sys.monitoring
monitoring.use_tool_id(3, "gizmo")
from pymemtrace import _capture
assert _capture.hooks_on(False, False, False, False, [], [], "/own/") is None
assert monitoring.get_tool(4) == "pymemtrace"
_capture.hooks_off()
assert monitoring.get_tool(4) is None and monitoring.get_tool(3) == "gizmo"
_capture.hooks_off()
"""
    with Recorder() as recorder:
        run_with(recorder, code, "none")


@pytest.mark.skipif(MONITORING, reason="for 3.11")
def test_a_profile_function_that_is_there_is_told() -> None:
    code = """
import sys
sys.setprofile(lambda *_: None)
from pymemtrace import _capture
print(_capture.hooks_on(False, False, False, False, [], [], "/own/"))
"""
    with Recorder() as recorder:
        done = run_with(recorder, code, "none")
    assert "has a profile function already" in done.stdout


USERS = {
    "setprofile": """
import sys
seen = []
def hook(frame, event, arg): seen.append((event, frame.f_code.co_name))
def f(): pass
sys.setprofile(hook)
f()
sys.setprofile(None)
print(("call", "f") in seen, ("return", "f") in seen)
""",
    "settrace": """
import sys
seen = []
def hook(frame, event, arg):
    seen.append(event)
    return hook
def f():
    x = 1
    return x
sys.settrace(hook)
f()
sys.settrace(None)
print(seen == ["call", "line", "line", "return"], True)
""",
    "cProfile": """
import cProfile, pstats
def f(): pass
p = cProfile.Profile()
p.enable(); f(); f(); p.disable()
stats = pstats.Stats(p).stats
print([v[0] for k, v in stats.items() if k[2] == "f"] == [2], True)
""",
    "pdb": """
import io, pdb
def f():
    x = 41
    return x
out = io.StringIO()
pdb.Pdb(stdin=io.StringIO("s\\ns\\ns\\nn\\np x + 1\\nc\\n"), stdout=out).run("f()", globals())
print("42" in out.getvalue().split(), True)
print(out.getvalue())
""",
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("options", ["calls", "lines"])
def test_others_see_what_they_would_without_us(user: str, options: str) -> None:
    with Recorder() as recorder:
        done = run_with(recorder, USERS[user], options)
    bare = subprocess.run([sys.executable, "-c", USERS[user]], capture_output=True, text=True, check=True)
    assert done.stdout == bare.stdout and done.stdout.startswith("True True\n")
    seen = kinds(recorder.processes[0].events())
    if MONITORING:
        assert ("call", "f") in seen and ("return", "f") in seen


@needs_monitoring
def test_coverage_py_on_its_monitoring_core(tmp_path: Path) -> None:
    coverage = pytest.importorskip("coverage")
    (tmp_path / "covered.py").write_text("def f(x):\n    if x:\n        return 1\n    return 2\n")
    code = f"""
import os, sys
os.environ["COVERAGE_CORE"] = "sysmon"
import coverage
c = coverage.Coverage(data_file=None)
c.start()
sys.path.insert(0, {str(tmp_path)!r})
import covered
covered.f(0)
c.stop()
print(c.analysis(covered)[2])
"""
    assert coverage
    with Recorder() as recorder:
        done = run_with(recorder, code, "lines")
    assert done.stdout == "[3]\n"
    assert ("call", "f") in kinds(recorder.processes[0].events())


# Notes


def test_notes_stand_between_the_events() -> None:
    code = """
from pymemtrace import _capture
def f(): pass
f()
_capture.note(1, 7, "hello \\u20ac")
f()
"""
    events = kinds(record("calls,no-c-calls,exclude=*importlib*", code).events())
    where = events.index(("note", (1, 7, "hello \u20ac")))
    assert events[where - 1] == ("return", "f") and events[where + 1] == ("call", "f")


def test_a_note_without_a_log_is_not_taken() -> None:
    code = "from pymemtrace import _capture\nprint(_capture.note(1, 0, 'x'))\n"
    with Recorder() as recorder:
        assert run_with(recorder, code, "none").stdout == "False\n"


# The command line


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "pymemtrace", "run", *words]
    return subprocess.run(run, capture_output=True, text=True, cwd=cwd, timeout=60)


@pytest.mark.parametrize(
    "option", [["--no-c-calls"], ["--include", "x"], ["--exclude=x"], ["--rss", "every"], ["--drop"]]
)
def test_options_of_the_event_log_need_one(option: list[str], tmp_path: Path) -> None:
    done = command(*option, "-c", "pass", cwd=tmp_path)
    assert done.returncode == 2
    assert option[0].partition("=")[0] in done.stderr and "--calls or --lines" in done.stderr


def test_wrong_values_are_refused(tmp_path: Path) -> None:
    assert "tracked or every" in command("--calls", "--rss", "never", "-c", "pass", cwd=tmp_path).stderr
    assert "malloc" in command("--python-malloc", "fast", "-c", "pass", cwd=tmp_path).stderr
    assert "contradict" in command("--paused", "--lines", "-c", "pass", cwd=tmp_path).stderr


def test_python_malloc(tmp_path: Path) -> None:
    done = command("-q", "--python-malloc=malloc", "-c", "import os; print(os.environ['PYTHONMALLOC'])", cwd=tmp_path)
    assert done.stdout == "malloc\n", done.stderr


@needs_monitoring
def test_the_program_runs_where_hooks_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nfor tool in (3, 4): sys.monitoring.use_tool_id(tool, 'gizmo')\n"
    )
    with Recorder() as recorder:
        done = recorder.run("calls", ["-c", "print(1)"], env={"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "1\n" and done.returncode == 0
    assert done.stderr == (
        "pymemtrace: calls and lines cannot be recorded: sys.monitoring's free tool ids are taken: "
        "3 by gizmo, 4 by gizmo\n"
    )
    assert "gizmo" in recorder.processes[0].meta["events_reason"]
