"""Sections where something is around them: a run, a trace, a fork, another tool; and where no trace can be made."""

from __future__ import annotations

import sys

import pytest

from integration.harness import any_user, pymemtrace, run
from integration.section_program import Program

MONITORING = sys.version_info >= (3, 12)


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
