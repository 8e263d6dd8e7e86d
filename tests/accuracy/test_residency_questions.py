"""The moments one can ask for (--at NAME, SECONDS, end), --touched, the timeline; and how they fit together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accuracy.resident import (
    LEAST_OWNED,
    Resident,
    as_user,
    assert_books_close,
    assert_owners,
    each_period,
    report,
    resident,
    share_owned,
)
from integration.harness import PAGE, Traced, cli
from oracle import pmt

STAGES = ("stages.py", "second,fourth")
MIB = 1 << 20

pytestmark = as_user


def named(user: str, period: str = "exact") -> Resident:
    return resident("named.py", user=user, period=period)


def at(run: Resident, moment: str, user: str) -> Traced:
    found = report(run.path, "--at", moment, user=user)
    return Traced(0, run.stdout, "", 0.0, run.path, found)


@each_period
@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_a_snapshot_by_its_name(name: str, user: str, period: str) -> None:
    run = named(user, period)
    found = at(run, name, user)
    assert_books_close(found.report)
    truth = {"grow": 0, "other": 0} | run.truth["moments"][name]
    assert_owners(found, truth, "named.py")
    assert share_owned(found.report["at"]) >= LEAST_OWNED[period]


def test_seconds_and_names_agree(user: str) -> None:
    """The moment of a name, given as seconds, has the same owners."""
    run = named(user)
    for name in "one", "two", "three":
        by_name = at(run, name, user)
        seconds = by_name.report["at"]["time_s"]
        by_time = at(run, repr(seconds + 0.0001), user)
        assert by_time.report["at"]["kind"] not in ("peak", "end")
        for function in "grow", "other":
            first, second = (each.function(function, "named.py")["total"] for each in (by_name, by_time))
            assert abs(first - second) <= 8 * PAGE, (name, function)


def test_a_moment_that_is_none(user: str) -> None:
    run = named(user)
    for moment in "no such name", "1e9", "-1", "nan":
        done = cli("report", run.path, f"--at={moment}", user=user)
        assert done.status == 2, (moment, done.stdout[:500])
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_before_anything_was_touched(user: str) -> None:
    found = at(named(user), "0.000001", user)
    assert_books_close(found.report)
    assert found.function("grow", "named.py")["total"] == 0


def test_the_default_is_the_peak(user: str) -> None:
    run = resident(*STAGES, user=user)
    assert run.report == report(run.path, "--at", "peak", user=user)


def test_touched_is_still_there(user: str) -> None:
    run = resident(*STAGES, user=user)
    found = report(run.path, "--touched", user=user)
    assert found["quantity"] == "touched"
    touched = found["touched"]
    rows = sum(row["self"] for row in found["by_line"])
    assert touched["total"] == rows + touched["kernel"] + touched["tracer"]
    whole = Traced(0, run.stdout, "", 0.0, run.path, found)
    for function, size in run.truth["peak"].items():
        assert whole.function(function, "stages.py")["total"] == pytest.approx(size, rel=0.02, abs=16 * PAGE)


def test_the_tree_agrees_with_the_report(user: str) -> None:
    run = resident(*STAGES, user=user)
    for moment, whole in (("peak", run.report), ("end", run.end)):
        done = cli("tree", run.path, "--at", moment, "--json", user=user)
        assert done.status == 0, done.stderr
        nodes: list[dict[str, Any]] = json.loads(done.stdout)["nodes"]
        native = sum(row["self"] for row in whole["by_line"] if row["file"] is None)
        by_stack = sum(node["self"] for node in nodes)
        assert by_stack in (whole["at"]["owned"], whole["at"]["owned"] - native), moment


def test_the_closing_line_adds_up(user: str) -> None:
    run = resident(*STAGES, user=user)
    for moment in "peak", "end":
        done = cli("report", run.path, "--at", moment, user=user)
        assert done.status == 0
        for word in "before start", "file", "kernel", "tracer", "unexplained":
            assert word in done.stdout, done.stdout[-1500:]


def test_the_timeline_sums_to_rss(user: str) -> None:
    run = resident(*STAGES, user=user)
    done = cli("timeline", run.path, "--json", user=user)
    assert done.status == 0, done.stderr
    document = json.loads(done.stdout)
    assert json.dumps(document).count("_truth.py") >= 1, "no curve of an owner"


def test_nothing_is_taken_on_a_schedule(user: str) -> None:
    """While memory only grows the fault log is the answer: start, end, and at most a fall of the interpreter's own."""
    trace = pmt.decode(resident("touched_part.py", "50", "up", user=user).path)
    kinds = [snapshot.kind for snapshot in trace.snapshots]
    assert kinds.count(1) == 1
    assert kinds.count(4) == 1
    assert len(kinds) <= 4, kinds
    falls = pmt.decode(resident("cache.py", "12", user=user).path)
    assert sum(snapshot.kind == 2 for snapshot in falls.snapshots) >= 1
