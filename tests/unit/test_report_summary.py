"""The summary at the end of a run, from analysis results made by hand."""

import io
from pathlib import Path

import pytest
from report_fakes import FormatError, child, empty, install, nasty, process, result, trace_file

from pymemtrace.report.summary import print_summary


@pytest.fixture
def trace(tmp_path: Path) -> str:
    return trace_file(tmp_path)


def test_text_from_a_trace_is_harmless_in_the_summary(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    install(monkeypatch, nasty())
    out = io.StringIO()
    print_summary(trace, out)
    assert all(line.isprintable() for line in out.getvalue().split("\n"))


def test_summary_imports_next_to_nothing(trace: str) -> None:
    code = """
import sys, report_fakes, types, pymemtrace
fake = report_fakes.FakeAnalysis(report_fakes.result())
answer = types.ModuleType("pymemtrace._analysis")
answer.analyze, answer.FormatError = fake.analyze, fake.FormatError
sys.modules["pymemtrace._analysis"] = pymemtrace._analysis = answer
before = set(sys.modules)
from pymemtrace.report.summary import print_summary
print_summary(sys.argv[1])
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("pymemtrace")))
"""
    done = child(code, trace, capture_output=True)
    assert done.stdout == "\n"
    assert "details: pymemtrace report " in done.stderr


def test_summary(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    install(monkeypatch, result())
    out = io.StringIO()
    print_summary(trace, out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "pymemtrace: peak RSS 20.0 MiB, touched 12.1 MiB in 2.00 s; exit status 0"
    assert lines[1].split() == ["6.0", "MiB", "49.7", "%", "build.<locals>.row", "app.py:22"]
    assert len([line for line in lines if " % " in line]) == 5
    assert lines[-1].strip() == f"details: pymemtrace report {trace}"
    assert "64.0 KiB of its own pages, about 6.0 ms for 3,000 faults\n" in out.getvalue()


def test_summary_without_an_engine(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    install(monkeypatch, empty(processes=[process(meta={"engine": "none", "engine_reason": "kernel 5.10"})]))
    out = io.StringIO()
    print_summary(trace, out)
    assert "no engine could run (kernel 5.10)" in out.getvalue()


def test_summary_never_raises(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    install(monkeypatch, FormatError("corrupt at byte 64"))
    out = io.StringIO()
    print_summary(trace, out)
    assert out.getvalue() == f"pymemtrace: {trace}: corrupt at byte 64\n"
    print_summary("/no/such.pmt", out)
    assert "/no/such.pmt: No such file or directory" in out.getvalue()


def test_summary_on_an_ascii_terminal(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    answer = result()
    answer["frames"][1] = ("/app/ä.py", 22, "größe", 20)
    install(monkeypatch, answer)
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    print_summary(trace, out)
    assert b"gr\\xf6\\xdfe" in raw.getvalue()


def test_summary_of_the_timer_engine(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    answer = result()
    meta = {"engine": "timer", "engine_reason": "perf_event_open: Operation not permitted"}
    counters = {"fault_cost_ns": 10_000, "ticks": 4_000}
    answer["processes"] = [process(meta=meta, counters=counters, period=0)]
    install(monkeypatch, answer)
    out = io.StringIO()
    print_summary(trace, out)
    said = out.getvalue()
    assert "about 40.0 ms for 4,000 ticks" in said
    assert (
        "engine: timer (growth between ticks of a few ms, approximate); page faults cannot be traced: perf_ev" in said
    )
    answer["lost"] = 3
    out = io.StringIO()
    print_summary(trace, out)
    assert "lost: 3 ticks came faster" in out.getvalue()


def test_a_program_that_was_killed_did_not_say_what_tracing_cost(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    answer = result()
    answer["processes"] = [process(counters={"tracer_pages": 16, "fault_cost_ns": 0})]
    install(monkeypatch, answer)
    out = io.StringIO()
    print_summary(trace, out)
    assert "of its own pages" in out.getvalue() and "about 0 s" not in out.getvalue()


def test_summary_of_a_run_too_short_for_the_timer_engine(monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    install(monkeypatch, empty(processes=[process(meta={"engine": "timer", "engine_reason": "asked for"}, period=0)]))
    out = io.StringIO()
    print_summary(trace, out)
    assert "No growth was seen at a tick" in out.getvalue()
    assert "approximate); asked for\n" in out.getvalue()
