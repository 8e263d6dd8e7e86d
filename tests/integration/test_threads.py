"""All threads: many, native ones, those that touch at once, with the lock and without."""

from __future__ import annotations

import json
import sys

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    Traced,
    assert_pages,
    cli,
    environment,
    need_faults,
    new_folder,
    pymemtrace,
    report,
    run,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())


def thread_bytes(traced: Traced, tid: int) -> int:
    return sum(row["bytes"] for row in traced.report["by_thread"] if row["tid"] == tid)


@each_user
@pytest.mark.parametrize("way", ["python", "released"])
def test_two_threads_at_once(way: str, user: str) -> None:
    need_faults(user)
    traced = trace("at_once.py", way, user=user)
    assert (traced.status, traced.stderr) == (0, "")
    books = {key: traced.report[key] for key in ("touched", "lost", "engine", "by_thread")}
    total = 0
    for name in "small", "large":
        pages = traced.truth[name]
        touched = traced.function(name)["total"]
        total += touched
        assert_pages(touched, pages, slack=pages // 50, what=(name, books))
        assert_pages(thread_bytes(traced, traced.truth["tids"][name]), pages, slack=pages // 50, what=name)
    assert_pages(total, traced.truth["small"] + traced.truth["large"], slack=40)


@each_user
def test_a_thread_without_python(user: str) -> None:
    """Its pages belong to native code, not to the line that waits for it."""
    need_faults(user)
    traced = trace("at_once.py", "native", user=user)
    assert (traced.status, traced.stderr) == (0, "")
    native = [row for row in traced.report["by_line"] if row["line"] is None]
    assert_pages(sum(row["self"] for row in native), traced.truth["large"], slack=150)
    own = [row for row in traced.report["by_thread"] if row["tid"] != traced.truth["main"]]
    assert_pages(sum(row["bytes"] for row in own), traced.truth["large"], slack=50)


@each_user
def test_names(user: str) -> None:
    """Python's name where there is one, else the kernel's."""
    need_faults(user)
    traced = trace("thread_names.py", user=user)
    assert (traced.status, traced.stderr) == (0, "")
    found = {row["name"]: row["bytes"] for row in traced.report["by_thread"]}
    assert found.keys() == {"MainThread", *traced.truth}
    for name, pages in traced.truth.items():
        assert_pages(found[name], pages, slack=100, what=name)


def churn(user: str, threads: int, times: int) -> None:
    need_faults(user)
    words = [TARGETS / "thread_churn.py", str(threads), str(times)]
    # One arena, or the C library would take 64 MiB of address space for another whenever threads meet.
    env = environment(MALLOC_ARENA_MAX="1")
    path = new_folder(user) / "x.pmt"
    bare = run([sys.executable, *words], user=user, env=env, timeout=240)
    command = pymemtrace("run", "-q", "--exact", "-o", path, *words)
    traced = run(command, user=user, env=env, timeout=240)
    assert (traced.status, traced.stderr) == (0, "")
    assert traced.truth["descriptors"] == 0
    assert traced.truth["resident"] <= bare.truth["resident"] + 300, "pages"
    a_stack = (8 << 20) // PAGE
    assert traced.truth["size"] <= bare.truth["size"] + 4 * a_stack, "pages of address space"
    info = json.loads(cli("info", path, "--json", user=user).stdout)
    [process] = info["processes"]
    assert process["counters"]["lost"] == 0, "no thread was without a slot"
    assert process["counters"]["tracer_pages"] < 16 * threads + 1000
    touched = sum(row["self"] for row in report(path, user=user)["by_function"] if row["function"] == "touch") // PAGE
    # Two pages a thread, and one of its new stack where the interpreter gets that far only in here.
    assert 0.99 * traced.truth["pages"] - threads <= touched <= 1.01 * (traced.truth["pages"] + threads * times)


@each_user
def test_threads_come_and_go(user: str) -> None:
    churn(user, 40, 10)


@pytest.mark.stress
@pytest.mark.timeout(600)
@each_user
def test_threads_come_and_go_by_the_thousand(user: str) -> None:
    churn(user, 200, 50)
