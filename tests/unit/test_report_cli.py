"""`pymemtrace report`, `tree` and `info` through the command line, on results made by hand."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_fakes import MIB, PAGE, FormatError, child, empty, install, nasty, process, result, trace_file, truncated

import pymemtrace
from pymemtrace.cli import main


@pytest.fixture
def trace(tmp_path: Path) -> str:
    return trace_file(tmp_path)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def deep(levels: int) -> dict[str, Any]:
    """One stack of `levels` frames of two functions that call each other, then of one that calls itself."""
    frames = [("/app/app.py", 1, "ping", 1), ("/app/app.py", 2, "pong", 2), ("/app/app.py", 3, "walk", 3)]
    total = MIB
    tree = [(0, -1, 0, total, 0)]
    tree += [(level, level % 2, 0, total, 0) for level in range(levels)]
    tree += [(levels + level, 2, 0, total, 0) for level in range(levels)]
    tree[-1] = (2 * levels - 1, 2, total, total, 256)
    return empty(frames=frames, lines=[(2, total, total, 256, 0, 0)], tree=tree, touched_total=total)


@pytest.mark.parametrize("verb", ["report", "tree", "info"])
def test_text_from_a_trace_is_harmless(
    verb: str, monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, nasty())
    assert main([verb, trace]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "[bold]x\\x1b[31m\\n\\u202e\\udc80[/bold]" in out.replace("…", "")


def test_report_closes_the_books(
    monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, result())
    assert main(["report", "--touched", trace]) == 0
    out = capsys.readouterr().out
    assert "touched 12.1 MiB: 12,360 KiB = lines 11,272 KiB + kernel 1,024 KiB + tracer 64 KiB" in out
    assert "does not close" not in out
    for title in ("by line (6)", "by function (6)", "by module (4)", "by thread (2)"):
        assert f"Touched {title}" in out


def test_books_that_do_not_close_are_admitted(
    monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = result()
    install(monkeypatch, answer | {"touched_total": answer["touched_total"] + PAGE})
    main(["report", "--touched", trace])
    assert "the sum does not close: +4,096 B" in capsys.readouterr().out


def test_top_and_by(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, result())
    assert main(["report", "--touched", trace, "--by", "line", "-n", "2"]) == 0
    out = capsys.readouterr().out
    assert "Touched by line (the top 2 of 6)" in out
    assert "4 more rows: 2.0 MiB, 16.6 % (-n 0 shows all)" in out
    assert "by function" not in out
    main(["report", "--touched", trace, "--by", "line", "-n", "0"])
    assert "more row" not in capsys.readouterr().out


def test_paths(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, result())
    main(["report", "--touched", trace])
    assert " app.py:22\n" in capsys.readouterr().out
    main(["report", "--touched", trace, "--full-paths"])
    assert " /app/app.py:22\n" in capsys.readouterr().out


def test_pid(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake = install(monkeypatch, result(processes=[process(), process(pid=200, parent=100, end=(1, 9, 5))]))
    assert main(["report", "--touched", trace, "--pid", "200"]) == 0
    assert "200, child of 100; killed by SIGKILL (9)" in capsys.readouterr().out
    assert fake.asked == [(trace, 200)]


def test_output_is_plain_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    install(monkeypatch, result())
    for width in (None, "60", "nonsense"):
        if width:
            monkeypatch.setenv("COLUMNS", width)
        main(["report", "--touched", trace])
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert not any(line.endswith(" ") for line in out.splitlines())


def test_same_trace_same_text(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    shuffled = result()
    for key in ("lines", "functions", "files", "native", "threads"):
        shuffled[key].reverse()
    texts = []
    for answer in (result(), shuffled):
        install(monkeypatch, answer)
        main(["report", "--touched", trace])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("verb", ["report", "tree", "info"])
def test_empty_results_explain_themselves(
    verb: str, monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = {"engine": "none", "engine_reason": "EACCES from perf_event_open"}
    install(monkeypatch, empty(processes=[process(meta=meta)]))
    assert main([verb, trace]) == 0
    out = capsys.readouterr().out
    assert "no engine could run (EACCES from perf_event_open)" in out
    assert "kernel.perf_event_paranoid" in out
    install(monkeypatch, empty())
    main([verb, trace])
    assert "No faults were recorded" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["report", "tree", "info"])
def test_truncated_is_said(
    verb: str, monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, truncated())
    assert main([verb, trace]) == 0
    assert "the trace was cut off" in capsys.readouterr().out
    assert main([verb, trace, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["end"] == {"kind": "truncated", "value": None}


def test_tree(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, result())
    assert main(["tree", "--touched", trace, "--min-share", "20%"]) == 0
    out = capsys.readouterr().out
    assert "    10.0 MiB   82.8 %           0 B    main  app.py:12\n" in out
    assert "1 of 5 nodes are not shown (--min-share 20)" in out
    main(["tree", trace, "--json", "--depth", "1"])
    assert [node["id"] for node in json.loads(capsys.readouterr().out)["nodes"]] == [0, 1]


def test_deep_trees(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, deep(6000))
    assert main(["tree", trace]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("[6001] walk x 6,000  app.py:3") for line in lines)
    assert max(map(len, lines)) < 200
    assert main(["tree", trace, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["nodes"]) == 12_001


def test_info(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, result(lost=7, limit_kib=524288, cgroup_peak_kib=262144))
    assert main(["info", trace]) == 0
    out = capsys.readouterr().out
    for text in (
        "version 1.0",
        "2.8 bytes each",
        "3 of RSS",
        "512.0 MiB, highest use 256.0 MiB",
        "7 faults came faster",
    ):
        assert text in out
    main(["info", trace, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["file"]["bytes_per_fault"] == 2.8
    assert (found["samples"], found["lost"], found["limit_bytes"]) == (3, 7, 512 * MIB)


@pytest.mark.parametrize("verb", ["report", "tree", "info"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FormatError("not a pymemtrace trace (wrong magic)"), "not a pymemtrace trace (wrong magic)"),
        (FormatError("two\nlines \x1b"), "two lines \\x1b"),
        (OSError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_bad_files_are_one_line(
    verb: str,
    error: Exception,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    trace: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, error)
    assert main([verb, trace]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"pymemtrace: {trace}: {text}\n")


def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, result())
    for words in (
        [],
        ["report"],
        ["nonsense"],
        ["report", trace, "-n", "-1"],
        ["tree", trace, "--min-share", "101"],
        ["tree", trace, "--min-share", "nan"],
        ["report", trace, "--by", "colour"],
    ):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "usage: pymemtrace" in err if not words else err.count("\n") == 1 and err.endswith("--help)\n"), err


@pytest.mark.parametrize("words", [["--help"], ["report", "--help"], ["tree", "-h"], ["info", "-h"]])
def test_help_has_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert max(map(len, out.splitlines())) <= 100


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pymemtrace {pymemtrace.__version__}\n"


def test_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, KeyboardInterrupt())
    assert main(["report", "--touched", trace]) == 130
    assert capsys.readouterr() == ("", "")


FAKE_MAIN = """
import sys, pymemtrace, report_fakes
from pymemtrace.cli import main
fake = report_fakes.FakeAnalysis(report_fakes.result())
sys.modules["pymemtrace._analysis"] = pymemtrace._analysis = fake
sys.exit(main())
"""


def test_closed_pipe_is_quiet(trace: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = child(FAKE_MAIN, "report", trace, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


def test_run_imports_next_to_nothing() -> None:
    code = """
import sys, types
sys.modules["pymemtrace.cli.run"] = verb = types.ModuleType("pymemtrace.cli.run")
verb.main = lambda words: print(words) or 3
before = set(sys.modules)
import pymemtrace.cli
pymemtrace.cli.run = verb
status = pymemtrace.cli.main(["run", "-q", "x.py", "report"])
print(sorted(set(sys.modules) - before), status)
"""
    done = child(code, capture_output=True)
    assert done.stdout == "['-q', 'x.py', 'report']\n['pymemtrace', 'pymemtrace.cli'] 3\n"
