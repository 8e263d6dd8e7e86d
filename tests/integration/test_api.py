"""A program that traces itself with `import pymemtrace`."""

from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    Outcome,
    any_user,
    assert_pages,
    environment,
    folder,
    need_faults,
    new_folder,
    pymemtrace,
    report,
    run,
    users,
)

each_user = pytest.mark.parametrize("user", users())
TARGET = TARGETS / "self_traced.py"
LEAST = 20  # pages: less is nobody's work but ours


class SelfTraced:
    """A run of the target in a folder of its own."""

    def __init__(self, case: str, *arguments: str, user: str = "", **how: Any) -> None:
        self.user = user or any_user()
        self.folder = new_folder(self.user)
        command = [sys.executable, str(TARGET), case, *arguments]
        self.done: Outcome = run(command, user=self.user, cwd=self.folder, **how)

    @property
    def truth(self) -> dict[str, Any]:
        assert self.done.stdout, self.done.stderr
        truth: dict[str, Any] = self.done.truth
        return truth

    def report(self, path: str | None = None) -> dict[str, Any]:
        return report(self.folder / (path or self.truth["path"]), user=self.user)

    def assert_inside(self, pages: int, path: str | None = None) -> dict[str, Any]:
        """The trace holds these pages of the function `inside`, and nothing to speak of from anywhere else."""
        found = self.report(path)
        [row] = [row for row in found["by_function"] if row["function"] == "inside"]
        assert_pages(row["total"], pages, slack=4)
        others = {r["function"]: r["self"] // PAGE for r in found["by_function"] if r["function"] != "touch"}
        assert sum(others.values()) <= LEAST, others
        assert found["touched"]["total"] // PAGE - found["touched"]["tracer"] // PAGE <= pages * 1.01 + LEAST
        return found


@each_user
@pytest.mark.parametrize("case", ["block", "start_stop", "at_once", "concurrent"])
def test_what_is_inside_is_traced(case: str, user: str) -> None:
    need_faults(user)
    program = SelfTraced(case, user=user)
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["engine"] == "faults"
    assert truth["problem"] is None
    assert truth["running"] is False
    found = program.assert_inside(truth["pages"])
    assert found["end"] == {"kind": "running", "value": None}
    assert truth.get("same", True), "an inner trace is another object"


@each_user
def test_default_names_are_new(user: str) -> None:
    program = SelfTraced("at_once", user=user)
    first, second, third = program.truth["paths"]
    pid = re.fullmatch(r"pymemtrace-self_traced\.(\d+)\.pmt", first)
    assert pid
    assert second == f"pymemtrace-self_traced.{pid[1]}-2.pmt"
    assert third == f"pymemtrace-self_traced.{pid[1]}-3.pmt"
    assert sorted(path.name for path in program.folder.iterdir()) == sorted(program.truth["paths"])


def test_nested_traces_make_no_file() -> None:
    program = SelfTraced("block")
    assert [path.name for path in program.folder.iterdir()] == [program.truth["path"]]
    assert program.truth["nothing_to_stop"]
    assert program.truth["end"] == "running"


@each_user
def test_decorated_functions(user: str) -> None:
    need_faults(user)
    program = SelfTraced("decorators", user=user)
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["answers"] == {
        "plain": 1000,
        "generator": [1, "sent", "thrown", 1500],
        "coroutine": 1500,
        "async_generator": [1, "sent", "thrown", []],
    }
    kinds = ["plain", "generator", "coroutine", "async_generator"]
    assert truth["names"] == kinds
    for kind in kinds:
        found = program.report(f"{kind}.pmt")
        [row] = [row for row in found["by_function"] if row["function"] == "inside"]
        assert_pages(row["total"], truth["pages"], slack=4, what=kind)
    [undecorated] = program.folder.glob("pymemtrace-self_traced.*.pmt")
    program.assert_inside(truth["pages"], undecorated.name)


def test_exceptions_pass_through() -> None:
    need_faults(any_user())
    program = SelfTraced("exceptions")
    assert program.truth["passed"] == ["mine", True, 3], program.done.stderr
    for path in program.truth["paths"]:
        [row] = [row for row in program.report(path)["by_function"] if row["function"] == "inside"]
        assert_pages(row["total"], 1000, slack=4, what=path)


@each_user
def test_threads_that_run_already(user: str) -> None:
    need_faults(user)
    program = SelfTraced("threads", user=user)
    truth = program.truth
    found = program.report()
    [row] = [row for row in found["by_function"] if row["function"] == "inside"]
    assert_pages(row["total"], truth["pages"], slack=40)
    threads = {thread["name"]: thread["bytes"] for thread in found["by_thread"]}
    for n in range(1, 9):
        assert_pages(threads[f"before-{n}"], 200 * n, slack=40)
    assert_pages(threads["came-later"], 3000, slack=40)
    assert not truth["replaced"], "threading still asks us for native ids"


@each_user
def test_the_recorder_is_nobodys_child(user: str) -> None:
    program = SelfTraced("children", user=user)
    truth = program.truth
    assert truth["waits"] == ["none"] * 3
    assert truth["signals"] == 0
    assert truth["strangers"] == []


@each_user
def test_start_and_stop_often(user: str) -> None:
    need_faults(user)
    program = SelfTraced("often", "faults", user=user)
    assert program.done.status == 0, program.done.stderr
    first, last = program.truth["states"]
    assert last["fds"] == first["fds"]
    assert last["maps"] <= first["maps"] + 2
    assert last["rss"] <= first["rss"] + 60 * PAGE, (first, last)
    program.assert_inside(20)


def test_start_and_stop_while_threads_fault() -> None:
    need_faults(any_user())
    program = SelfTraced("often_with_threads")
    assert program.done.status == 0, program.done.stderr
    [row] = [row for row in program.report()["by_function"] if row["function"] == "inside"]
    assert_pages(row["total"], 500, slack=100)


def test_a_size_limit() -> None:
    need_faults(any_user())
    program = SelfTraced("limited")
    assert program.done.status == 0, program.done.stderr
    assert 1 << 15 < program.truth["size"] <= 1 << 16
    assert program.report()["end"]["kind"] == "running"


def _complete(path: Path, user: str) -> dict[str, Any]:
    """The report of a trace whose recorder is still at work: at once, or soon."""
    deadline = time.monotonic() + 5
    while (found := report(path, user=user))["end"]["kind"] == "truncated" and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@each_user
def test_a_program_that_does_not_stop(user: str) -> None:
    """Its pipes are closed when it ends, and its trace is complete."""
    program = SelfTraced("unstopped", user=user)
    assert program.done.status == 0, program.done.stderr
    found = _complete(program.folder / program.truth["path"], user)
    assert found["end"]["kind"] == "exit"
    if program.truth["engine"] == "faults":
        program.assert_inside(1000)


def test_its_pipes_are_not_held_open() -> None:
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, TARGET, "unstopped"],
        capture_output=True,
        cwd=new_folder("root"),
        env=environment(),
        timeout=30,
    )
    assert done.returncode == 0
    assert time.monotonic() - begin < 3, "somebody held them open"


@each_user
def test_a_program_that_is_killed(user: str) -> None:
    need_faults(user)
    program = SelfTraced("killed", user=user)
    assert program.done.status == -9
    found = _complete(program.folder / program.truth["path"], user)
    assert found["end"]["kind"] != "truncated"
    program.assert_inside(1000)


def test_fork_inside_a_trace() -> None:
    need_faults(any_user())
    program = SelfTraced("fork")
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["status"] == 7
    assert truth["problem"] is None
    for process, pages in ("parent", 2000), ("child", 500):
        found = report(program.folder / truth["path"], "--pid", str(truth[process]), user=program.user)
        rows = {row["function"]: row["total"] for row in found["by_function"]}
        assert_pages(rows["inside"], pages, slack=40, what=process)
        assert "outside" not in rows
    ends = {each["pid"]: each["end"]["kind"] for each in program.report()["processes"]}
    assert ends[truth["parent"]] == "running"
    child = json.loads((program.folder / "child.json").read_text())
    assert child["problem"] is None
    program.assert_inside(1500, child["path"])


def inside_of(program: SelfTraced, pid: int) -> int:
    """Bytes of `inside` in one process."""
    found = report(program.folder / program.truth["path"], "--pid", str(pid), user=program.user)
    return sum(row["total"] for row in found["by_function"] if row["function"] == "inside")


@each_user
@pytest.mark.parametrize("path", [[], ["/nowhere:/elsewhere"]], ids=["no path", "a path"])
def test_a_python_started_inside_a_trace(user: str, path: list[str]) -> None:
    need_faults(user)
    program = SelfTraced("started_python", *path, user=user)
    assert (program.done.status, program.done.stderr) == (0, "")
    truth = program.truth
    assert truth["problem"] is None and truth["seen"] and truth["same"]
    assert_pages(inside_of(program, truth["child"]), 1000, slack=4)
    processes = {row["pid"]: row for row in program.report()["processes"]}
    assert processes[truth["child"]]["traced"] and processes[truth["child"]]["touched"] > 1000 * PAGE
    assert truth["after"] not in processes


def test_no_child_is_followed_if_it_is_not_wanted() -> None:
    need_faults(any_user())
    program = SelfTraced("not_followed")
    assert (program.done.status, program.done.stderr) == (0, "")
    assert program.truth["problem"] is None and program.truth["same"]
    traced = [row["pid"] for row in program.report()["processes"] if row["traced"]]
    assert len(traced) == 1 and not set(traced) & set(program.truth["children"])
    program.assert_inside(1000)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_a_pool_inside_a_trace(method: str) -> None:
    need_faults(any_user())
    program = SelfTraced("pool", method)
    assert program.done.status == 0, program.done.stderr
    assert program.truth["problem"] is None
    pids = program.truth["pids"]
    assert_pages(sum(inside_of(program, pid) for pid in pids), 8 * 500, slack=8 * len(pids))


@pytest.mark.parametrize("engine", ["faults", "timer"])
def test_a_python_that_outlives_the_trace(engine: str) -> None:
    need_faults(any_user())
    program = SelfTraced("outlived", refuse_perf=errno.EACCES if engine == "timer" else 0)
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["engine"] == engine
    assert truth["problem"] is None and truth["status"] == 0 and truth["took"] < 10
    (row,) = (row for row in program.report()["processes"] if row["pid"] == truth["child"])
    assert row["traced"] and row["end"]["kind"] == "running"


@each_user
@pytest.mark.parametrize("earlier", [[], ["earlier"]], ids=["no handler", "a handler"])
def test_handlers_of_sigtrap_in_a_trace_begun_in_a_thread(earlier: list[str], user: str) -> None:
    need_faults(user)
    program = SelfTraced("begun_in_a_thread", *earlier, user=user)
    assert (program.done.status, program.done.stderr) == (-signal.SIGTRAP, "")
    truth = json.loads(program.done.stdout)
    assert truth["problem"] is None
    assert truth["refused"] == [True] and truth["results"] == [True] * 4
    assert truth["seen"] == ["early"] * len(earlier) + ["own"]
    report = program.report("x.pmt")
    rows = [row["total"] for row in report["by_function"] if row["function"] == "inside"]
    # The thread that began may still be ending: some of what came in with it, by time, can be here.
    assert_pages(sum(rows), 2000, slack=4 + min(report["touched"]["by_time"] // PAGE, 32))


def test_a_program_that_closes_all_descriptors() -> None:
    need_faults(any_user())
    program = SelfTraced("descriptors")
    assert program.done.status == 0, program.done.stderr
    assert program.truth["problem"] is None
    assert program.truth["difference"] < 100 * PAGE
    program.assert_inside(4000)


@each_user
def test_rss_and_its_peak(user: str) -> None:
    program = SelfTraced("rss", user=user)
    assert program.done.status == 0, program.done.stderr
    pairs = program.truth
    for where in "here", "after", "child", "exec":
        rss, true_rss, peak, true_peak = pairs[where]
        assert abs(rss - true_rss) <= 80 * PAGE, where
        assert abs(peak - true_peak) <= 80 * PAGE, where
    assert pairs["after"][0] < pairs["here"][0] - (35 << 20)
    assert pairs["after"][2] >= pairs["here"][0]
    assert pairs["exec"][2] < 40 << 20, "the peak of the program before the exec"
    assert pairs["seconds"] < 20e-6


def test_wrong_arguments() -> None:
    raised = SelfTraced("errors").truth
    assert raised["type"][:2] == ["TypeError", "path must be a str or a path object, not int"]
    assert raised["size_type"][:2] == ["TypeError", "max_size must be a number of bytes or None, not str"]
    assert raised["size"][:2] == ["ArgumentError", "max_size must be at least 65536 bytes, not 0"]
    assert raised["null"][0] == "ArgumentError"
    assert raised["device"][0] == "TracePathError"
    assert raised["folder"] == [
        "TracePathError",
        "cannot write /nowhere/x.pmt: No such file or directory; name another file with path=",
        2,
    ]
    assert raised["exists"] == [
        "TracePathError",
        "there.pmt exists: overwrite it with overwrite=True, or name another file",
        17,
    ]
    assert "overwritten" not in raised


def test_without_a_recorder_the_program_goes_on() -> None:
    program = SelfTraced("refused")
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["engine"] == "none"
    [warning] = truth["warnings"]
    assert warning == f"pymemtrace: {truth['reason']}"
    assert "No such file" in warning
    assert truth["file"] == str(TARGET)
    assert truth["left"] == []


def test_without_page_faults_the_program_goes_on() -> None:
    program = SelfTraced("refused_faults", refuse_perf=13)
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["engine"] != "faults"
    assert "perf_event_open" in truth["reason"]
    assert len(truth["warnings"]) == 1
    assert program.report()["end"]["kind"] == "running"


def test_a_recorder_that_is_killed() -> None:
    need_faults(any_user())
    program = SelfTraced("recorder_killed")
    assert program.done.status == 0, program.done.stderr
    truth = program.truth
    assert truth["problem"]
    [warning] = truth["warnings"]
    assert "incomplete" in warning
    assert program.done.seconds < 20
    assert program.report()["end"]["kind"] == "truncated"


@each_user
def test_inside_pymemtrace_run(user: str) -> None:
    path = new_folder(user) / "x.pmt"
    done = run(pymemtrace("run", "-q", "-o", path, TARGET, "traced"), user=user, cwd=folder(user))
    assert done.status == 0, done.stderr
    truth = done.truth
    assert truth["path"] is None
    assert truth["engine"] == report(path, user=user)["engine"]["name"]
    assert "pymemtrace run" in truth["reason"]
    assert truth["other"] is False
    assert done.stderr == ""
    assert report(path, user=user)["end"] == {"kind": "exit", "value": 0}
