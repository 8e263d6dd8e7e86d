"""All threads: many, native ones, those that touch at once, with the lock and without."""

from __future__ import annotations

import json

import pytest

from integration.harness import PAGE, TARGETS, Traced, assert_pages, both, cli, need_faults, trace, users

each_user = pytest.mark.parametrize("user", users())


def thread_bytes(traced: Traced, tid: int) -> int:
    return sum(row["bytes"] for row in traced.report["by_thread"] if row["tid"] == tid)


@each_user
@pytest.mark.parametrize("way", ["python", "released"])
def test_two_threads_at_once(way: str, user: str) -> None:
    need_faults(user)
    run = trace("at_once.py", way, user=user)
    assert (run.status, run.stderr) == (0, "")
    total = 0
    for name in "small", "large":
        pages = run.truth[name]
        touched = run.function(name)["total"]
        total += touched
        assert_pages(touched, pages, slack=pages // 50, what=name)
        assert_pages(thread_bytes(run, run.truth["tids"][name]), pages, slack=pages // 50, what=name)
    assert_pages(total, run.truth["small"] + run.truth["large"], slack=40)


@each_user
def test_a_thread_without_python(user: str) -> None:
    """Its pages belong to native code, not to the line that waits for it."""
    need_faults(user)
    run = trace("at_once.py", "native", user=user)
    assert (run.status, run.stderr) == (0, "")
    native = [row for row in run.report["by_line"] if row["line"] is None]
    assert_pages(sum(row["self"] for row in native), run.truth["large"], slack=150)
    own = [row for row in run.report["by_thread"] if row["tid"] != run.truth["main"]]
    assert_pages(sum(row["bytes"] for row in own), run.truth["large"], slack=50)


def churn(user: str, threads: int, times: int) -> None:
    need_faults(user)
    words = [TARGETS / "thread_churn.py", str(threads), str(times)]
    bare, traced, path = both(*words, user=user, timeout=240)
    assert (traced.status, traced.stderr) == (0, "")
    assert traced.truth["descriptors"] == 0
    assert traced.truth["resident"] <= bare.truth["resident"] + 300, "pages"
    assert traced.truth["size"] <= bare.truth["size"] + 300, "pages of address space"
    info = json.loads(cli("info", path, "--json", user=user).stdout)
    [process] = info["processes"]
    assert process["counters"]["lost"] == 0, "no thread was without a slot"
    assert process["counters"]["tracer_pages"] < 16 * threads + 1000
    report = json.loads(cli("report", path, "--json", user=user).stdout)
    touched = [row["self"] for row in report["by_function"] if row["function"] == "touch"]
    # Each thread faults on its stack and its arena too; the pages are at least the two it was told to touch.
    assert sum(touched) >= 0.97 * traced.truth["pages"] * PAGE


@each_user
def test_threads_come_and_go(user: str) -> None:
    churn(user, 40, 10)


@pytest.mark.stress
@pytest.mark.timeout(600)
@each_user
def test_threads_come_and_go_by_the_thousand(user: str) -> None:
    churn(user, 200, 50)
