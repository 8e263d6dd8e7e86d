"""Residency snapshots: what they show of a program that knows its pages, when they are taken, and what stops them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integration.harness import (
    NOBODY,
    PAGE,
    TARGETS,
    Outcome,
    Traced,
    answer,
    any_user,
    assert_one_line,
    both,
    children,
    cli,
    environment,
    holders,
    in_a_world_of_its_own,
    new_folder,
    popen,
    pymemtrace,
    run,
    trace,
    unprivileged,
    users,
)
from oracle import pmt
from oracle.records import Trace
from oracle.residency_records import Snapshot

each_user = pytest.mark.parametrize("user", users())
START, FELL, ASKED, END = 1, 2, 3, 4


def resident(way: str, user: str = "", *options: str) -> tuple[Traced, Trace]:
    traced = trace("resident.py", way, user=user or any_user(), options=options)
    return traced, pmt.decode(traced.path.read_bytes())


def pages_of(snapshot: Snapshot) -> dict[int, int]:
    """The state of each page that was looked at and is there."""
    pages = {}
    for piece in snapshot.residents:
        at = piece.first
        for count, state in piece.runs:
            if state:
                pages.update(dict.fromkeys(range(at, at + count), state))
            at += count
    return pages


def named(trace_: Trace, name: str) -> Snapshot:
    [found] = [snapshot for snapshot in trace_.snapshots if snapshot.name == name]
    return found


def reason(trace_: Trace) -> str | None:
    return trace_.processes[0].meta.get("snapshots_reason")


@each_user
def test_pages_of_each_kind(user: str) -> None:
    traced, found = resident("kinds", user)
    assert (traced.status, traced.truth["taken"], reason(found)) == (0, True, "")
    snapshot = named(found, "kinds")
    assert (snapshot.kind, snapshot.error, snapshot.process) == (ASKED, 0, 0)
    pages = pages_of(snapshot)
    for name, mapping in traced.truth["mappings"].items():
        seen = [pages.get(mapping["first"] + number, 0) for number in range(len(mapping["pages"]))]
        assert seen == mapping["pages"], name
    kinds = {region.path: region.kind for region in snapshot.regions}
    assert kinds["[heap]"] == 1
    assert kinds["[stack]"] == 2
    assert kinds[f"{traced.truth['file']}"] == 3
    assert kinds["/dev/zero (deleted)"] == 4
    assert any(region.kind == 5 and "pymemtrace" in region.path for region in snapshot.regions)
    assert any(region.kind == 5 and region.path == "" for region in snapshot.regions)


@each_user
def test_the_sum_is_the_kernels(user: str) -> None:
    """Pages that are there add up to what the kernel counts, to within what it does not count exactly."""
    _, found = resident("kinds", user)
    for snapshot in found.snapshots[0], named(found, "kinds"), found.snapshots[-1]:
        there = sum(state != 4 for state in pages_of(snapshot).values())
        assert abs(there - sum(snapshot.kib[:3]) * 1024 // PAGE) <= 64, snapshot.kind
    for snapshot in named(found, "kinds"), found.snapshots[-1]:
        assert snapshot.rollup is not None
        assert abs(snapshot.rollup * 1024 // PAGE - sum(state != 4 for state in pages_of(snapshot).values())) <= 16


def test_cpus() -> None:
    _, found = resident("kinds")
    assert found.processes[0].meta["cpus"] == str(os.sysconf("SC_NPROCESSORS_ONLN"))


def test_first_and_last() -> None:
    """The first stands before all faults, the last after them."""
    _, found = resident("kinds")
    first, last = found.snapshots[0], found.snapshots[-1]
    assert (first.kind, first.error, last.kind, last.error) == (START, 0, END, 0)
    assert first.end is not None
    assert all(fault.time >= first.end for fault in found.faults)
    assert found.processes[0].counters["snapshots"] == len(found.snapshots)
    assert 0 < found.processes[0].counters["snapshot_ns"] < 1e9


def test_after_each_fall() -> None:
    traced, found = resident("falls")
    falls = [snapshot for snapshot in found.snapshots if snapshot.kind == FELL]
    for told in traced.truth["fell"]:
        at = told - found.t0
        after = [snapshot for snapshot in falls if at <= snapshot.since <= at + 50_000_000]
        assert all(snapshot.since <= snapshot.time <= at + 100_000_000 for snapshot in after)
        # The first may have been taken while the kernel was still taking pages back.
        assert any(snapshot.kib[0] < (48 << 10) for snapshot in after), (at, [snapshot.since for snapshot in falls])
    assert len(falls) <= 12


def test_no_schedule() -> None:
    """While memory only grows nothing is looked at."""
    found = pmt.decode(trace("touch_slowly.py", "1", user=any_user()).path.read_bytes())
    assert {snapshot.kind for snapshot in found.snapshots} <= {START, FELL, END}
    assert sum(snapshot.kind == FELL for snapshot in found.snapshots) <= 2


def test_what_allocators_say() -> None:
    traced, found = resident("kinds")
    said: dict[int, dict[str, int]] = {}
    for figure in found.allocators:
        said.setdefault(figure.time, {})[figure.name] = figure.value
    assert list(said) == [named(found, "kinds").time, found.snapshots[-1].time]
    for figures in said.values():
        assert 0 < figures["pymalloc_used"] <= figures["pymalloc_arenas"] < 1 << 30
        assert figures["pymalloc_arenas"] % (256 << 10) == 0
        assert figures["malloc_used"] + figures["malloc_free"] == figures["malloc_held"] > 0
        assert figures["malloc_trimmable"] <= figures["malloc_free"]
    assert traced.stderr == ""  # the interpreter's report went nowhere


@pytest.mark.parametrize("engine", ["timer", "none"])
def test_with_other_engines(engine: str) -> None:
    _, found = resident("kinds", "", "--engine", engine)
    assert [snapshot.kind for snapshot in found.snapshots if snapshot.kind != FELL] == [START, ASKED, END]


def test_not_dumpable_from_now_on() -> None:
    """The descriptors were opened before."""
    traced, found = resident("hidden", "unprivileged" if unprivileged() else "")
    assert traced.truth["taken"] is True
    assert named(found, "hidden").error == 0


def test_not_dumpable_before() -> None:
    """Then the program's own pagemap is root's. It says so, and the rest of the trace stands."""
    if unprivileged() not in ("self", "uid65534"):
        pytest.skip("only root can run this interpreter, whom no file refuses")
    folder = new_folder("unprivileged")
    code = """
import ctypes, pymemtrace, pymemtrace.errors
ctypes.CDLL(None).prctl(4, 0)
with pymemtrace.trace("x.pmt", quiet=True):
    kept = bytearray(8 << 20)
    try:
        pymemtrace.snapshot("x")
    except pymemtrace.errors.PymemtraceError as error:
        print(error)
"""
    done = run([sys.executable, "-c", code], user="unprivileged", cwd=folder)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("no snapshot: nobody looks at this process's pages")
    found = pmt.decode((folder / "x.pmt").read_bytes())
    assert reason(found) == "/proc/self/pagemap cannot be read (Permission denied)"
    assert found.snapshots == []
    assert {figure.name for figure in found.allocators} >= {"pymalloc_arenas", "malloc_held"}
    assert sum(fault.rise for fault in found.faults) >= (8 << 20) // PAGE


@pytest.mark.parametrize("way", ["fork", "python"])
def test_switched_off(way: str) -> None:
    """Then none is taken, of a child neither; the faults are there, and the report says what it cannot know."""
    traced = trace("family.py", way, user=any_user(), options=["--no-snapshots"])
    found = pmt.decode(traced.path.read_bytes())
    assert traced.status == 0
    assert found.snapshots == []
    assert [each.meta["snapshots_reason"] for each in found.processes] == ["switched off by --no-snapshots"] * 2
    assert found.faults
    shown = cli("report", traced.path)
    assert "no residency snapshots (switched off by --no-snapshots)" in shown.stdout
    assert shown.status == 0


def test_hidden_processes() -> None:
    """A /proc that shows nobody the processes of others, nor one's own that are not dumpable."""
    if unprivileged() != "uid65534":
        pytest.skip("another user cannot run this interpreter")
    path = new_folder("unprivileged") / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "resident.py", "hidden")
    lowered = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *command]
    done = in_a_world_of_its_own("mount -t proc -o hidepid=2 proc /proc", lowered)
    assert (done.status, done.stderr, done.truth["taken"]) == (0, "", True)
    found = pmt.decode(path.read_bytes())
    assert reason(found) == ""
    assert [snapshot.error for snapshot in found.snapshots if snapshot.kind != FELL] == [0, 0, 0]
    assert named(found, "hidden").kib[0] > 0


@pytest.mark.parametrize("descriptors", [16, 10])
def test_few_descriptors(descriptors: int) -> None:
    """Those of the events come first."""
    traced = trace("hello.py", user=any_user(), limits={resource.RLIMIT_NOFILE: descriptors})
    found = pmt.decode(traced.path.read_bytes())
    assert reason(found) == "the recorder may not open enough files (ulimit -n)"
    assert (found.snapshots, found.complete) == ([], True)


def test_fork_child() -> None:
    traced, found = resident("fork")
    assert (traced.status, traced.truth["status"], traced.truth["taken"]) == (0, 0, True)
    child = [process.pid for process in found.processes].index(traced.truth["child"])
    assert (named(found, "parent").process, named(found, "child").process) == (0, child)
    kinds = [snapshot.kind for snapshot in found.snapshots if snapshot.process == child and snapshot.kind != FELL]
    assert kinds[0] == START
    assert ASKED in kinds


def test_exec_in_place() -> None:
    traced, found = resident("exec")
    assert traced.status == 0
    after = named(found, "after")
    assert after.process == 1
    assert after.error == 0
    assert [snapshot.kind for snapshot in found.snapshots if snapshot.process == 1][0] == START


def test_killed_at_a_fall() -> None:
    """Nothing that is not there any more is reported as looked at and empty."""
    traced, found = resident("kill")
    assert traced.status == -signal.SIGKILL
    for snapshot in found.snapshots:
        if not snapshot.error:
            assert len(pages_of(snapshot)) > 500


def test_closed_descriptors() -> None:
    traced, found = resident("closerange")
    assert (traced.status, traced.truth["taken"]) == (0, True)
    assert named(found, "closed").error == 0


def test_descriptors_are_the_programs() -> None:
    bare, traced, _ = both(TARGETS / "resident.py", "descriptors")
    assert bare.truth == traced.truth


def test_small_file() -> None:
    """A file that may not grow: the program is not kept waiting and the trace is whole."""
    traced, found = resident("falls", "", "--max-size", "64K")
    assert traced.status == 0
    assert found.complete


def test_not_traced() -> None:
    code = "import pymemtrace; print(pymemtrace.snapshot('x'))"
    assert cli_python(code).stdout == "False\n"


@pytest.mark.parametrize("argument", ["1", "''", "'a' * 64", "'a\\0b'", "'peak'", "'end'", "'12'", "'1.5'"])
def test_wrong_names(argument: str) -> None:
    done = cli_python(f"import pymemtrace; pymemtrace.snapshot({argument})")
    assert done.status == 1
    assert done.stderr.splitlines()[-1].startswith(("TypeError", "pymemtrace.errors.ArgumentError"))


def cli_python(code: str) -> Outcome:
    return run([sys.executable, "-c", code], user=any_user())


class Waiting:
    """A program that waits for lines, under `pymemtrace run`."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.path = new_folder(user) / "x.pmt"
        command = pymemtrace("run", "-q", "-o", self.path, TARGETS / "on_command.py", "1", "1000")
        self.process = popen(command, user=user, stdin=subprocess.PIPE)
        answer(self.process, b"ready")
        [self.pid] = booted(self.process.pid)

    def end(self) -> Trace:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return pmt.decode(self.path.read_bytes())


def booted(pid: int) -> list[int]:
    """Which of a process and its children run our bootstrap."""
    family = [pid, *children(pid)]
    return [each for each in family if b"_boot.py" in Path(f"/proc/{each}/cmdline").read_bytes()]


@each_user
def test_asked_from_outside(user: str) -> None:
    program = Waiting(user)
    done = cli("snapshot", str(program.pid), "--name", "from outside", user=user)
    assert (done.status, done.stderr) == (0, "")
    unnamed = cli("snapshot", str(program.pid), user=user)
    assert unnamed.status == 0
    found = program.end()
    assert named(found, "from outside").error == 0
    assert sum(snapshot.kind == ASKED for snapshot in found.snapshots) == 2


def test_asked_of_a_stranger() -> None:
    """Neither traced nor listening."""
    process = popen(["sleep", "60"], user=any_user())
    try:
        done = cli("snapshot", str(process.pid))
        assert_one_line(done)
        assert "does not listen" in done.stderr
    finally:
        process.kill()
        process.communicate()


def test_asked_of_a_program_that_listens() -> None:
    folder = new_folder(any_user())
    surroundings = environment(XDG_RUNTIME_DIR=str(folder))
    process = popen([sys.executable, TARGETS / "listening.py", "own"], user=any_user(), cwd=folder, env=surroundings)
    try:
        time.sleep(1)
        done = cli("snapshot", str(process.pid), "--name", "mine", cwd=folder, env=surroundings)
        assert (done.status, done.stderr) == (0, "")
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)
    path = folder / "own.pmt"
    deadline = time.monotonic() + 10
    while holders(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    found = pmt.decode(path.read_bytes())
    assert named(found, "mine").kind == ASKED
    assert any(figure.time == named(found, "mine").time for figure in found.allocators)
