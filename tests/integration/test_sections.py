"""Sections: pymemtrace.Profile and Trace, alone, nested, on threads, as decorators, and used wrongly."""

from __future__ import annotations

from integration.section_program import Program


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
        raises(TypeError, lambda: Profile()(int), "classes")
        raises(TypeError, lambda: Profile()(5), "int")
        open("there.pmt", "w").close()
        raises(OSError, Profile(path="there.pmt").__enter__, "there.pmt")
        raises(OSError, Profile(path="no/such/folder.pmt").__enter__)
        raises(OSError, Profile(filepath="no/such/folder.txt").__enter__)
        assert state() == before
        assert not [name for name in os.listdir() if name.endswith(".pmt") and name not in ("a.pmt", "there.pmt")]
        """
    )
