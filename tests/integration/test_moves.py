"""Memory that mremap moves takes its faults along. Releases are seen at once, and with --releases exact their lines."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    TARGETS,
    Traced,
    any_user,
    assert_one_line,
    cli,
    line_of,
    need_faults,
    new_folder,
    pymemtrace,
    run,
    trace,
    users,
)
from oracle import pmt
from oracle.frames import frame_of
from oracle.records import Trace
from oracle.residency_records import Move, Snapshot

each_user = pytest.mark.parametrize("user", users())
MUNMAP, MADVISE, BRK, MREMAP = 1, 2, 3, 4
FELL = 2
FREE_HITS = 300  # of budget.h
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls are followed on x86-64 alone")


def moving(way: str, user: str = "", *options: str) -> tuple[Traced, Trace]:
    user = user or any_user()
    need_faults(user)
    traced = trace("moving.py", way, user=user, options=options)
    assert traced.status == 0, traced
    return traced, pmt.decode(traced.path.read_bytes())


def moves_of(found: Trace, process: int = 0) -> list[list[int]]:
    return [[move.old, move.new, move.pages] for move in found.moves if found.threads[move.thread].process == process]


def assert_moved(moved: list[list[int]], found: Trace, process: int = 0) -> None:
    """What the program moved stands in the trace, in order; the interpreter may have moved more."""
    recorded = iter(moves_of(found, process))
    assert all(each in recorded for each in moved), (moved, moves_of(found, process))
    assert found.processes[process].meta["moves_reason"] == ""


def line(found: Trace, node: int) -> tuple[str, int]:
    frame = frame_of(found, found.nodes[node])
    return (Path(frame.file).name, frame.line) if frame else ("", 0)


@each_user
def test_the_owner_moves_along(user: str) -> None:
    """Pages by the log of faults, moved, are the pages that are there."""
    traced, found = moving("resize", user, "--exact")
    assert_moved(traced.truth["moved"], found)
    assert found.processes[0].counters["moves"] == len(found.moves)
    [snapshot] = [snapshot for snapshot in found.snapshots if snapshot.name == "moved"]
    first, pages = traced.truth["taken"]
    resident = {page for page in pages_of(snapshot) if first <= page < first + pages}
    changes = sorted([*found.faults, *found.moves], key=lambda record: record.time)
    owned: set[int] = set()
    for change in changes:
        if change.time > snapshot.time:
            break
        if isinstance(change, Move):
            away = {page for page in owned if change.old <= page < change.old + change.pages}
            owned = owned - away | {page - change.old + change.new for page in away}
        elif change.rise:
            owned.add(change.address // 4096)
    assert len(resident) == 350
    assert {page for page in owned if first <= page < first + pages} == resident


def pages_of(snapshot: Snapshot) -> set[int]:
    pages: set[int] = set()
    for piece in snapshot.residents:
        at = piece.first
        for count, state in piece.runs:
            pages |= set(range(at, at + count)) if state else set()
            at += count
    return pages


@each_user
def test_moves_inside_realloc(user: str) -> None:
    traced, found = moving("inside_libc", user)
    assert len(traced.truth["moved"]) >= 2
    assert_moved(traced.truth["moved"], found)


def test_nothing_moves() -> None:
    """No signal, and no record, of a program that does not move memory or is not asked for releases."""
    _, found = moving("nothing")
    assert (found.moves, found.releases) == ([], [])
    assert found.processes[0].meta["moves_reason"] == ""
    assert "releases_reason" not in found.processes[0].meta


def test_threads() -> None:
    traced, found = moving("threads")
    tids = {thread.tid: number for number, thread in enumerate(found.threads)}
    told = {(tids[tid], *moved) for tid, *moved in traced.truth["moved"]}
    assert len(told) >= 80
    assert told <= {(move.thread, move.old, move.new, move.pages) for move in found.moves}


def test_fork_child() -> None:
    traced, found = moving("fork", "", "--releases", "exact")
    child = [process.pid for process in found.processes].index(traced.truth["child"])
    assert traced.truth["status"] == 0
    assert_moved(traced.truth["moved"], found)
    assert_moved(traced.truth["child_moved"], found, child)
    assert not [moved for moved in traced.truth["child_moved"] if moved in moves_of(found)]
    assert found.processes[child].meta["releases_reason"] == ""


def test_exec_in_place() -> None:
    traced, found = moving("exec", "", "--releases", "exact")
    assert_moved(traced.truth["moved"], found, 1)
    assert len(moves_of(found)) == 1


def test_a_handler_for_sigtrap() -> None:
    traced, found = moving("own_sigtrap", "", "--releases", "exact")
    assert len(traced.truth["seen"]) == 1
    assert_moved(traced.truth["moved"], found)


def test_blocked_signals() -> None:
    traced, found = moving("blocked")
    assert moves_of(found) == traced.truth["moved"]


@each_user
def test_releases(user: str) -> None:
    traced, found = moving("releases", user, "--releases", "exact")
    assert found.processes[0].meta["releases_reason"] == ""
    assert found.processes[0].counters["releases"] == len(found.releases)
    for what, name in (MUNMAP, "munmap"), (MADVISE, "madvise"), (BRK, "brk"), (MREMAP, "mremap"):
        place = ("moving.py", line_of("moving.py", name))
        [release] = [each for each in found.releases if each.what == what and line(found, each.node) == place]
        pages = traced.truth["pages"][name]
        if traced.truth["first"][name]:
            assert (release.first, release.pages) == (traced.truth["first"][name], pages)
        assert release.fell <= release.pages
        assert abs(release.fell - pages) <= (100 if what == BRK else 2)  # the heap's top was not all touched
    free = line_of("moving.py", "madvise") + 1
    assert not [each for each in found.releases if line(found, each.node)[1] == free]


def test_releases_to_the_end() -> None:
    """Nothing is missing, and no report says so."""
    traced, _ = moving("releases", "", "--releases", "exact")
    shown = cli("report", "--releases", traced.path).stdout
    assert "moving.py" in shown
    assert "releases recorded" not in shown
    assert "not all" not in shown
    [process] = json.loads(cli("report", "--json", traced.path).stdout)["processes"]
    assert process["releases"] == {"until_s": None, "reason": None}


def test_not_asked_for() -> None:
    traced, found = moving("releases")
    assert found.releases == []
    shown = cli("report", "--releases", traced.path).stdout
    assert "No releases in this trace: record them with" in shown
    assert traced.report["processes"][0]["releases"] is None


def test_too_many() -> None:
    """Calls that come so often that it would be felt are followed no more, and every report says from when on."""
    traced, found = moving("many", "", "--releases", "exact")
    meta, counters = found.processes[0].meta, found.processes[0].counters
    assert meta["moves_reason"].startswith("mremap not followed to the end")
    assert meta["releases_reason"].startswith("given up")
    assert FREE_HITS / 3 <= counters["releases"] < 2 * FREE_HITS  # every other mremap shrinks
    until = int(meta["releases_until"])
    assert max(release.time for release in found.releases) <= until < (found.processes[0].end or [0, 0, 0])[2]
    shown = " ".join(cli("report", "--releases", traced.path).stdout.split())
    assert re.search(r"releases recorded in full until [\d.]+ m?s: given up because .* more than 2 % of the run", shown)
    [process] = json.loads(cli("report", "--json", traced.path).stdout)["processes"]
    first = min(until, int(meta["moves_until"]))
    reason = f"{meta['releases_reason']}; {meta['moves_reason']}"
    assert process["releases"] == {"until_s": first / 1e9, "reason": reason}


def test_self_traced() -> None:
    """Threads that run already are followed, and a second trace is as good as the first."""
    folder = new_folder(any_user())
    need_faults(any_user())
    done = run(pymemtrace_python("self_traced"), user=any_user(), cwd=folder)
    assert done.status == 0, done
    for number, told in enumerate(done.truth["moved"]):
        found = pmt.decode((folder / f"{number}.pmt").read_bytes())
        tids = {thread.tid: at for at, thread in enumerate(found.threads)}
        moves = [[move.thread, move.old, move.new, move.pages] for move in found.moves]
        assert sorted(moves) == sorted([tids[tid], *moved] for tid, *moved in told)
        assert 62 in [each.pages for each in found.releases if line(found, each.node)[0] == "moving.py"]


def pymemtrace_python(way: str) -> list[Any]:
    return [pymemtrace()[0], TARGETS / "moving.py", way]


def test_registers_are_taken() -> None:
    folder = new_folder(any_user())
    need_faults(any_user())
    done = run(pymemtrace_python("taken"), user=any_user(), cwd=folder)
    if done.truth["opened"] < 0:
        pytest.skip("this machine has fewer than four breakpoints")
    found = pmt.decode((folder / "taken.pmt").read_bytes())
    for key in "moves_reason", "releases_reason":
        assert "registers for breakpoints are taken" in found.processes[0].meta[key]
    assert found.moves == []
    assert found.processes[0].meta["engine_reason"] == ""


@pytest.mark.parametrize("engine", ["timer", "none"])
def test_other_engines(engine: str) -> None:
    path = new_folder(any_user()) / "x.pmt"
    command = ["run", "-q", "-o", path, "--engine", engine]
    done = cli(*command, "--releases", "exact", TARGETS / "moving.py", "nothing")
    assert_one_line(done)
    assert "--releases" in done.stderr
    assert engine in done.stderr
    assert cli(*command, TARGETS / "moving.py", "resize").status == 0
    found = pmt.decode(path.read_bytes())
    assert found.moves == []
    assert found.processes[0].meta["moves_reason"].startswith("it takes the signals of the page-fault engine")


def test_perf_events_refused() -> None:
    traced = trace("moving.py", "releases", options=("--releases", "exact"), user=any_user(), refuse_perf=1)
    found = pmt.decode(traced.path.read_bytes())
    for key in "moves_reason", "releases_reason":
        assert found.processes[0].meta[key].startswith("it takes the signals of the page-fault engine: perf_event_open")
    shown = " ".join(cli("report", "--releases", traced.path).stdout.split())
    assert "No releases in this trace releases not recorded, or not all: it takes the signals" in shown


def test_a_wrong_word() -> None:
    assert_one_line(cli("run", "--releases", "all", TARGETS / "hello.py"))


def test_a_fall_is_seen_at_once() -> None:
    """By the next fault, not by the sampler's next look, which comes every 10 ms; and a snapshot follows."""
    traced, found = moving("released_and_touched", "", "--exact")
    falls = [snapshot for snapshot in found.snapshots if snapshot.kind == FELL]
    for begin, end in traced.truth["fell"]:
        [fall] = [each for each in falls if begin - found.t0 <= each.since <= end - found.t0 + 10_000_000][:1]
        assert fall.since <= end - found.t0
        assert fall.time <= fall.since + 50_000_000


def test_when_the_peak_was() -> None:
    traced, found = moving("peak")
    begin, end = traced.truth["between"]
    assert begin - found.t0 <= found.processes[0].counters["rss_peak_ns"] <= end - found.t0
