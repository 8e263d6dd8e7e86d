"""Sections: pymemtrace.Profile, Trace and mark(), in programs of their own that check themselves.

Longer than other files, because the text of each of those programs stands beside its test.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from integration.harness import Outcome, any_user, new_folder, pymemtrace, run

MONITORING = sys.version_info >= (3, 12)

PRELUDE = """\
import asyncio, os, signal, sys, threading, time, warnings
import pymemtrace
from pymemtrace import Profile, Trace, TraceFile, mark

PAGE = os.sysconf("SC_PAGE_SIZE")

def leaf(size=10):
    return bytearray(size)

def work(count=3):
    for _ in range(count):
        leaf()

def called(section):
    return [row.function for row in section.events if row.kind == "call"]

def marks(section):
    return [row.text for row in section.events if row.kind == "mark"]

def state():
    tools = [sys.monitoring.get_tool(i) for i in range(6)] if hasattr(sys, "monitoring") else []
    paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    fds = {path: os.readlink(path) for path in paths if os.path.lexists(path)}
    hooks = sys.getprofile(), sys.gettrace(), signal.getsignal(signal.SIGTRAP)
    return tools, hooks, threading.active_count(), fds

def raises(kind, function, *words):
    try:
        function()
    except kind as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"no {kind.__name__}")

WORK = ["work", "leaf", "leaf", "leaf"]
"""


class Program:
    """A program in a folder of its own, which prints "fine" when it has found what it expects."""

    def __init__(self, body: str, *options: str, fine: bool = True, status: int = 0) -> None:
        user = any_user()
        self.folder: Path = new_folder(user)
        path = self.folder / "program.py"
        path.write_text(PRELUDE + dedent(body) + '\nprint("fine")\n')
        command = [*pymemtrace(), "run", "-q", *options, path] if options else [sys.executable, path]
        self.done: Outcome = run(command, user=user, cwd=self.folder)
        assert self.done.status == status, self.done.stderr
        assert not fine or self.done.stdout.endswith("fine\n"), self.done.stdout
        assert "Exception ignored" not in self.done.stderr


def test_a_section_alone() -> None:
    program = Program(
        """
        before = state()
        with Profile(0, message="the message") as p:
            work()
        assert state() == before, (state(), before)
        rows = list(p.events)
        assert called(p) == WORK
        assert rows[0].kind == rows[-1].kind == "mark"
        assert rows[0].text == "section 1 begins: the message" and rows[-1].text == "section 1 ends"
        assert not [row for row in rows if row.kind == "line"]
        assert rows == [p.events[i] for i in range(len(p.events))] == p.events[:]
        assert p.events[-1] == rows[-1] and p.events[1:3] == rows[1:3]
        raises(IndexError, lambda: p.events[len(rows)])
        assert {row.pid for row in rows} == {os.getpid()}
        assert [row.depth for row in rows if row.kind == "call"] == [0, 1, 1, 1]
        assert all(a.t <= b.t for a, b in zip(rows, rows[1:]))
        assert sum(row.change for row in rows) == rows[-1].rss - rows[0].rss
        assert rows[0].rss > 1 << 20
        calls = {row.function: row.calls for row in p.summary}
        assert calls["work"] == 1 and calls["leaf"] == 3, calls
        kinds = [row.kind for row in rows if row.function == "bytearray"]
        assert kinds == (["c_call", "c_return"] * 3 if hasattr(sys, "monitoring") else []), kinds
        """
    )
    [trace] = program.folder.glob("*.pmt")
    assert trace.name.startswith("pymemtrace-program.")


def test_lines() -> None:
    Program(
        """
        with Trace(0) as t:
            work(2)
        lines = [(row.function, row.line) for row in t.events if row.kind == "line" and row.function in WORK]
        first = work.__code__.co_firstlineno
        body = [("work", first + 1), ("work", first + 2), ("leaf", leaf.__code__.co_firstlineno + 1)]
        assert lines == body + body[:2] + body[2:] + body[:1] or lines == body + body + body[:1], lines
        assert called(t) == ["work", "leaf", "leaf"]
        """
    )


def test_the_reader_by_its_first_argument() -> None:
    Program(
        """
        from pathlib import Path
        with Trace(path="a.pmt") as t:
            work()
        assert isinstance(t, Trace) and not isinstance(t, TraceFile)
        for found in (Trace("a.pmt"), Trace(Path("a.pmt"), os.getpid()), TraceFile("a.pmt"), Trace("a.pmt", pid=None)):
            assert type(found) is TraceFile and found.has_events
            assert [row.calls for row in found.calls if row.function == "work"] == [1]
        assert repr(Trace("a.pmt")) == "TraceFile('a.pmt')"
        assert isinstance(Trace(), Trace) and isinstance(Trace(5), Trace) and isinstance(Trace(message="x"), Trace)
        raises(TypeError, lambda: Profile("a.pmt"), "d_rss_trigger")
        """
    )


def test_columns() -> None:
    Program(
        """
        with Profile(0) as p:
            work()
            mark("here")
        c, rows = p.columns(), list(p.events)
        assert len(c) == len(rows)
        assert c.t.format == "d" and c.kind.format == "B" and c.rss.format == "q" and not c.t.readonly is False
        assert list(c.t) == [row.t for row in rows]
        assert [c.kinds[k] for k in c.kind] == [row.kind for row in rows]
        assert [c.names[i] if i >= 0 else None for i in c.function] == [row.function for row in rows]
        assert [c.names[i] if i >= 0 else None for i in c.file] == [row.file for row in rows]
        assert [c.names[i] if i >= 0 else None for i in c.text] == [row.text for row in rows]
        for name in ("pid", "tid", "depth", "rss", "change"):
            assert list(getattr(c, name)) == [getattr(row, name) for row in rows], name
        assert [line or None for line in c.line] == [row.line for row in rows]
        for view in (c.t, c.kind, c.rss):  # what numpy.frombuffer asks for
            assert view.contiguous and memoryview(view).nbytes == len(rows) * view.itemsize
        """
    )


@pytest.mark.parametrize(
    "options", [["--calls"], ["--lines"], ["--calls", "--no-c-calls"], ["--lines", "--include", "work"]]
)
def test_inside_of_a_run_that_records_calls(options: list[str]) -> None:
    program = Program(
        """
        before = state()
        assert any(before[0]) or before[1] is None or True
        from pymemtrace import _capture
        hooks = _capture.hooks()
        with Profile(0, c_calls=False) as p:
            work()
        assert state() == before
        assert _capture.hooks() == hooks
        assert called(p) == WORK, called(p)
        assert {row.kind for row in p.events} - {"fault"} == {"call", "return", "mark"}
        with Trace(0) as t:
            work()
        assert called(t) == WORK and [row for row in t.events if row.kind == "line"]
        assert t.number == 2
        assert _capture.hooks() == hooks
        """,
        *options,
    )
    [trace] = program.folder.glob("*.pmt")
    done = run([*pymemtrace(), "log", trace], user=any_user(), cwd=program.folder)
    assert "section 2 begins" in done.stdout and "section 1 ends" in done.stdout


def test_inside_of_a_run_without_events() -> None:
    program = Program(
        """
        assert mark("nobody hears it") is False
        before = state()
        with Profile(0) as p:
            work()
            assert mark("heard")
        assert state() == before
        assert called(p) == WORK and "heard" in marks(p)
        """,
        "-o",
        "one.pmt",
    )
    assert [path.name for path in program.folder.glob("*.pmt")] == ["one.pmt"]


def test_inside_of_a_trace() -> None:
    program = Program(
        """
        before = state()
        with pymemtrace.trace("one.pmt") as trace:
            with Profile(0) as p:
                work()
            assert trace.running
            assert called(p) == WORK  # while the trace goes on
            work()
            with Profile(0) as q:
                leaf()
            assert called(q) == ["leaf"] and q.number == 2
            assert called(p) == WORK
        assert called(p) == WORK and {r.function: r.calls for r in q.summary}["leaf"] == 1
        assert state()[:3] == before[:3]
        found = Trace("one.pmt")
        assert {row.function: row.calls for row in found.calls}["leaf"] == 4
        """
    )
    assert [path.name for path in program.folder.glob("*.pmt")] == ["one.pmt"]


def test_nested_sections() -> None:
    Program(
        """
        before = state()
        with Profile(0, message="outer") as outer:
            leaf(1)
            with Trace(0, message="inner") as inner:
                work()
                with Profile(0) as innermost:
                    leaf(2)
                leaf(3)
            leaf(4)
        assert state() == before
        assert called(outer) == ["leaf", "leaf"], called(outer)
        assert called(inner) == [*WORK, "leaf"], called(inner)
        assert called(innermost) == ["leaf"]
        for number, name, section in (1, "outer", outer), (2, "inner", inner):
            first, *rest = [f"section {number} {word}" for word in ("begins", "is suspended", "goes on", "ends")]
            assert marks(section) == [f"{first}: {name}", *rest]
        assert [row for row in inner.events if row.kind == "line"]
        assert not [row for row in [*outer.events, *innermost.events] if row.kind == "line"]
        for section, count in (outer, 2), (inner, 4), (innermost, 1):
            assert {r.function: r.calls for r in section.summary}["leaf"] == count
            rows = list(section.events)
            assert sum(row.change for row in rows) == rows[-1].rss - rows[0].rss
        """
    )


def test_sections_of_threads_are_on_at_once() -> None:
    Program(
        """
        begun, go_on = threading.Event(), threading.Event()
        def other():
            with Profile(0) as p:
                begun.set()
                go_on.wait()
                leaf(7)
            found.append(p)
        found = []
        with Trace(0) as t:
            thread = threading.Thread(target=other)
            thread.start()
            begun.wait()
            work()
            go_on.set()
            thread.join()
        [p] = found
        assert not [text for text in marks(t) + marks(p) if "suspended" in text]
        assert marks(t) == ["section 1 begins", "section 1 ends"] and marks(p) == ["section 2 begins", "section 2 ends"]
        main, thread = threading.get_native_id(), [row.tid for row in p.events][0]
        assert main != thread
        own = [row.function for row in t.events if row.kind == "call" and row.tid == main]
        assert [name for name in own if name in WORK] == WORK
        leaves = [row.tid for row in p.events if row.kind == "call" and row.function == "leaf"]
        assert sorted(leaves) == sorted([main] * 3 + [thread])
        assert {r.function: r.calls for r in p.summary}["leaf"] == 4
        assert not [row for row in p.events if row.kind == "line"]
        assert {r.function: r.calls for r in t.summary}["leaf"] == 4
        """
    )


def test_sections_that_overlap_on_one_thread() -> None:
    Program(
        """
        a, b = Profile(0), Profile(0)
        a.__enter__(); leaf()
        b.__enter__(); leaf()
        a.__exit__(None, None, None); leaf()
        b.__exit__(None, None, None); leaf()
        assert called(a) == ["leaf"] and called(b) == ["leaf", "leaf"], (called(a), called(b))
        assert marks(a) == ["section 1 begins", "section 1 is suspended", "section 1 ends"]
        """
    )


def test_decorated_functions() -> None:
    Program(
        """
        p = Profile(0, overwrite=True, path="a.pmt")
        raises(RuntimeError, lambda: p.events, "not been entered")

        @p
        def plain(n):
            "doc"
            leaf()
            return n + 1
        assert plain(1) == 2 and plain.__name__ == "plain" and plain.__doc__ == "doc"
        assert called(p) == ["plain", "leaf"] and p.number == 1
        assert plain(1) == 2 and p.number == 2

        @p
        def recursive(n):
            return n and recursive(n - 1)
        recursive(2)
        assert called(p) == ["recursive"], called(p)  # the outermost call, which the others suspend

        @p
        def generator():
            try:
                got = yield 1
                yield got
            except KeyError:
                leaf()
                yield "thrown"
            return 5
        def delegate():
            return (yield from generator())
        g = delegate()
        assert next(g) == 1 and g.send("sent") == "sent" and g.throw(KeyError()) == "thrown"
        raises(StopIteration, lambda: next(g), "5")
        assert called(p)[0] == "generator" and "leaf" in called(p)
        assert "throw" in [row.kind for row in p.events]
        g = generator(); next(g); g.close()
        assert called(p) == ["generator"]

        @p
        async def coroutine():
            await asyncio.sleep(0)
            leaf()
            return 6
        assert asyncio.run(coroutine()) == 6
        assert "leaf" in called(p)

        @p
        async def agen():
            try:
                yield (yield 1)
            except KeyError:
                yield "thrown"
        async def use():
            a = agen()
            assert await a.asend(None) == 1 and await a.asend("sent") == "sent"
            assert await a.athrow(KeyError()) == "thrown"
            assert [x async for x in a] == []
        asyncio.run(use())
        assert "agen" in called(p)
        async def both():
            return await asyncio.gather(coroutine(), coroutine())
        assert asyncio.run(both()) == [6, 6]
        raises(TypeError, lambda: p(5), "Profile()", "int")
        from pymemtrace import _capture
        assert _capture.hooks() is None and _capture.engine() is None
        """
    )


def test_the_body_raises() -> None:
    Program(
        """
        before = state()
        p = Profile(0)
        def body():
            with p:
                with Trace(0):
                    raise KeyError("mine")
        raises(KeyError, body, "mine")
        assert state() == before
        assert marks(p)[-1] == "section 1 ends"
        with p:  # once more
            work()
        assert called(p) == WORK and p.number == 3
        @Profile()
        def fails():
            raise KeyError("decorated")
        raises(KeyError, fails, "decorated")
        def leaves():
            with Profile():
                sys.exit(3)
        raises(SystemExit, leaves)
        assert state() == before
        """
    )


def test_misuse() -> None:
    Program(
        """
        p = Profile(0, path="a.pmt", overwrite=True)
        for results in (lambda: p.events, p.columns, lambda: p.summary, lambda: p.number):
            raises(RuntimeError, results, "not been entered")
        raises(RuntimeError, lambda: p.__exit__(None, None, None), "not been entered")
        with p:
            raises(RuntimeError, p.__enter__, "entered already")
            raises(RuntimeError, lambda: p.events, "not over")
            work()
        assert called(p)[-4:] == WORK
        raises(RuntimeError, lambda: p.__exit__(None, None, None), "not been entered")

        before = state()
        p.__enter__()
        problems = []
        def leave():
            try:
                p.__exit__(None, None, None)
            except RuntimeError as error:
                problems.append(str(error))
        work()
        thread = threading.Thread(target=leave); thread.start(); thread.join()
        assert "another thread" in problems[0], problems
        assert state() == before
        assert called(p)[:4] == WORK and marks(p)[-1].endswith("ends")
        assert {r.function: r.calls for r in p.summary}["leaf"] == 3

        wrong = {
            "d_rss_trigger": ("x", 1.5, True, None), "filepath": (5,), "message": (b"x",), "path": (5,),
            "c_calls": (1,), "include": ("x", [5]), "exclude": (5,), "rss": (5,), "overwrite": (None,),
        }
        for word, values in wrong.items():
            for value in values:
                raises(TypeError, lambda: Profile(**{word: value}), word)
                raises(TypeError, lambda: Trace(**{word: value}), word)
        wrong = {
            "d_rss_trigger": (1 << 63,), "filepath": ("", "a\\0b"), "path": ("",), "rss": ("never",),
            "include": ([""],), "exclude": (["a\\0b"],),
        }
        for word, values in wrong.items():
            for value in values:
                raises(ValueError, lambda: Profile(**{word: value}), word)
        for text in (5, b"x", None):
            raises(TypeError, lambda: mark(text), "text")
        raises(TypeError, lambda: Profile(unknown=1))
        open("there.pmt", "w").close()
        raises(OSError, Profile(path="there.pmt").__enter__, "there.pmt")
        raises(OSError, Profile(path="no/such/folder.pmt").__enter__)
        raises(OSError, Profile(filepath="no/such/folder.txt").__enter__)
        assert state() == before
        assert not [name for name in os.listdir() if name.endswith(".pmt") and name not in ("a.pmt", "there.pmt")]
        """
    )


def test_which_rows_are_shown() -> None:
    Program(
        """
        kept = []
        def grow(pages):
            kept.append(bytearray(pages * PAGE + 1))
            for at in range(0, pages * PAGE, PAGE):
                kept[-1][at] = 1
        def body():
            work(50)
            grow(400)
            work(50)
            mark("before the second")
            grow(100)
        for trigger, least in (-1, PAGE), (1, 1), (200 * PAGE, 200 * PAGE), (1 << 62, 1 << 62), (0, 0):
            kept.clear()
            with Profile(trigger) as p:
                body()
            rows = list(p.events)
            assert rows[0].text.endswith("begins") and rows[-1].text.endswith("ends")
            shown = rows[0].rss
            assert rows[0].change == 0
            for row in rows[1:]:
                assert row.change == row.rss - shown
                assert abs(row.change) >= least or row.kind == "mark", (trigger, row)
                shown = row.rss
            assert marks(p)[1] == "before the second"
            if trigger == 0:
                assert called(p)[1:52] == ["work", *["leaf"] * 50]
            if trigger > PAGE:
                assert len(rows) < 9
        """
    )


def test_the_file_of_rows() -> None:
    program = Program(
        """
        with Profile(0, filepath="rows.txt", message="line one\\nline two"):
            work()
        with Profile(0, filepath="rows.csv", message="a, message"):
            work()
        with Profile(0, filepath="rows.jsonl", message='the "message"'):
            work()
        with Profile(0, filepath="plain.json"):
            work()
        with pymemtrace.trace("one.pmt"):
            with Profile(0, filepath="inside.csv") as p:
                work()
            assert len(open("inside.csv").readlines()) == 1 + len(p.events)
        size = os.path.getsize("rows.txt")
        raises(FileExistsError, Profile(filepath="rows.txt").__enter__, "rows.txt", "overwrite")
        assert os.path.getsize("rows.txt") == size
        with Trace(0, filepath="rows.txt", overwrite=True):
            leaf()
        os.mkdir("elsewhere")
        with Profile(0, filepath="stays.txt"):
            os.chdir("elsewhere")
        os.chdir("..")
        assert os.listdir("elsewhere") == []
        """
    )
    folder = program.folder
    lines = (folder / "rows.txt").read_text().splitlines()
    assert lines[0].split() == ["time", "s", "tid", "RSS", "KiB", "change", "KiB", "kind", "function", "file:line"]
    assert sum("  line  " in line for line in lines) >= 1 and "section" in lines[-1]
    first, *table = (folder / "rows.csv").read_text().splitlines()
    assert first == "# a, message"
    rows = list(csv.DictReader(table))
    assert [row["function"] for row in rows if row["kind"] == "call"] == ["work", "leaf", "leaf", "leaf"]
    objects = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert objects[0] == {"message": 'the "message"'}
    assert [row["function"] for row in objects[1:] if row["kind"] == "call"] == ["work", "leaf", "leaf", "leaf"]
    assert "message" not in json.loads((folder / "plain.json").read_text().splitlines()[0])
    assert (folder / "stays.txt").exists()


def test_marks() -> None:
    Program(
        """
        assert mark("nobody hears it") is False
        with Profile(0) as p:
            assert mark("first") is True
            leaf()
            assert mark("\\udc80 \\N{SNOWMAN}") and mark("") and mark("\\N{SNOWMAN}" * 100000)
        rows = list(p.events)
        texts = [row.text for row in rows if row.kind == "mark"][1:-1]
        assert texts[:3] == ["first", "? \\N{SNOWMAN}", ""], texts[:3]
        assert 5000 < len(texts[3]) < 6000 and set(texts[3]) == {"\\N{SNOWMAN}"}
        kinds = [(row.kind, row.text or row.function) for row in rows]
        assert kinds.index(("mark", "first")) < kinds.index(("call", "leaf"))
        begun = time.perf_counter()
        with Profile(c_calls=False):
            for _ in range(10000):
                mark("x")
        assert time.perf_counter() - begun < 2
        """
    )


def test_which_functions_are_recorded() -> None:
    Program(
        """
        with Profile(0, exclude=["leaf"]) as p:
            work()
        assert called(p) == ["work"], called(p)
        with Profile(0, include=["leaf"]) as p:  # what was left out a moment ago
            work()
        assert called(p) == ["leaf"] * 3, called(p)
        with Profile(0) as p:
            work()
        assert called(p) == WORK
        with Profile(0, include=["leaf"]) as p:
            work()
            with Profile(0, exclude=["leaf"]) as q:
                work()
            work()
        assert "work" in called(q)
        with Profile(0, c_calls=False, rss="every") as p:
            work()
        assert called(p) == WORK and not [row for row in p.events if row.kind.startswith("c_")]
        """
    )


def test_a_fork_inside() -> None:
    Program(
        """
        before = state()
        with Profile(0) as p:
            child = os.fork()
            if child == 0:
                work()
        if child == 0:
            try:
                raises(RuntimeError, lambda: p.events, "process")
                assert state()[:3] == before[:3], state()
                with Profile(0, path="child.pmt") as own:
                    leaf()
                assert called(own) == ["leaf"] and own.number == 1
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(9)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert "leaf" not in called(p)
        assert state() == before
        """
    )


def test_a_fork_in_a_run_has_sections_of_its_own() -> None:
    Program(
        """
        with Profile(0) as p:
            leaf()
        child = os.fork()
        with Profile(0) as q:
            work()
        assert called(q) == WORK, called(q)
        assert q.number == (1 if child == 0 else 2)
        assert {row.pid for row in q.events} == {os.getpid()}
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert called(p) == ["leaf"]
        """,
        "--calls",
    )


@pytest.mark.skipif(not MONITORING, reason="tool ids are of 3.12 and later")
def test_tool_ids_are_taken() -> None:
    Program(
        """
        for tool in (3, 4):
            sys.monitoring.use_tool_id(tool, "somebody")
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with Profile(0, filepath="rows.csv", message="hello") as p:
                work()
                assert mark("x") is False
        [warning] = seen
        assert "somebody" in str(warning.message) and warning.filename == __file__
        assert len(p.events) == 0 and list(p.events) == [] and p.events[:] == []
        assert p.summary == [] and len(p.columns()) == 0
        assert p.number == 0
        assert open("rows.csv").read().startswith("# hello")
        sys.monitoring.free_tool_id(3)
        with p:
            raises(FileExistsError, Profile(filepath="rows.csv").__enter__)
        """,
        fine=False,
        status=1,  # the last `with` finds the file there
    )


@pytest.mark.skipif(MONITORING, reason="profile functions are of 3.11")
def test_a_profile_function_is_set() -> None:
    Program(
        """
        def mine(frame, event, arg): pass
        sys.setprofile(mine)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with Profile(0) as p:
                work()
        assert sys.getprofile() is mine
        sys.setprofile(None)
        [warning] = seen
        assert "profile function" in str(warning.message)
        assert list(p.events) == [] and p.summary == []
        with p:
            work()
        assert called(p) == WORK
        """
    )


def test_no_trace_can_be_made() -> None:
    Program(
        """
        import resource
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, limits[1]))
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with Profile(0) as p:
                work()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert len(seen) == 1, [str(w.message) for w in seen]
        assert list(p.events) == []
        """
    )


def test_the_program_ends_inside() -> None:
    program = Program(
        """
        p = Profile(0)
        p.__enter__()
        work()
        """
    )
    [trace] = program.folder.glob("*.pmt")
    done = run([*pymemtrace(), "log", trace], user=any_user(), cwd=program.folder)
    assert "section 1 begins" in done.stdout and "leaf" in done.stdout
