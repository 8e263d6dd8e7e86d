"""Programs whose truth is known: what they touch is found, on the right function and line, within 1 %."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from integration.harness import (
    PAGE,
    Traced,
    any_user,
    assert_pages,
    cached_trace,
    line_of,
    need_faults,
    trace,
    users,
)

pytestmark = pytest.mark.parametrize("user", users())

needs_numpy = pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed")

KINDS = [
    "list_repeat",
    "list_append",
    "list_of_floats",
    "bytearray_grow",
    "bytes_repeat",
    "mmap_private",
    "mmap_shared",
    "ctypes_buffer",
    pytest.param("numpy_pieces", marks=needs_numpy),
    pytest.param("numpy_huge", marks=needs_numpy),
    "file_read",
    "file_write",
    "file_copy_on_write",
    "touched_again",
    "many_pages",
]


def traced(target: str, *arguments: str, user: str, options: tuple[str, ...] = ()) -> Traced:
    """A trace by the fault engine of a program that ended well, with its books checked."""
    need_faults(user)
    result = cached_trace(target, *arguments, user=user, options=options)
    assert result.stderr == ""
    assert result.status == 0
    assert result.report["engine"]["name"] == "faults", result.report["engine"]
    touched = result.report["touched"]
    assert (
        touched["total"] == sum(row["self"] for row in result.report["by_line"]) + touched["kernel"] + touched["tracer"]
    )
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_a_function(kind: str, user: str) -> None:
    run = traced("touch_kinds.py", kind, user=user)
    row = run.function(kind, "touch_kinds.py")
    assert_pages(row["self"], run.truth["pages"], what=run.truth)
    assert row["total"] >= row["self"]


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_a_line(kind: str, user: str) -> None:
    if kind == "ctypes_buffer":
        pytest.skip("either of two lines may touch the buffer first")
    run = traced("touch_kinds.py", kind, user=user)
    row = run.line(line_of("touch_kinds.py", kind), "touch_kinds.py")
    assert_pages(row["self"], run.truth["pages"], what=run.truth)


@pytest.mark.parametrize("kind", ["mmap_private", "many_pages", "bytearray_grow"])
def test_exact(kind: str, user: str) -> None:
    run = traced("touch_kinds.py", kind, user=user, options=("--exact",))
    row = run.function(kind, "touch_kinds.py")
    assert run.report["engine"]["period"] == 1
    assert not run.report["engine"]["period_changes"]
    assert_pages(row["self"], run.truth["pages"])
    if kind != "bytearray_grow":
        assert row["faults"] == pytest.approx(run.truth["pages"], rel=0.01)


@pytest.mark.parametrize(("piece", "threads"), [(2, 1), (64, 1), (100, 1), (10, 4), (256, 4)])
def test_released_between_two_signals(piece: int, threads: int, user: str) -> None:
    """Pieces of memory smaller than the period come and go unseen between two readings of RSS."""
    run = traced("released_at_once.py", "pieces", str(piece), str(120_000 // piece // threads), str(threads), user=user)
    assert run.report["engine"]["period"] > 32, "the program did not do what this test is about"
    assert_pages(run.function("touch", "released_at_once.py")["self"], run.truth["pages"], slack=1500)


def test_pages_replaced_after_a_fork_add_none(user: str) -> None:
    run = traced("released_at_once.py", "copies", "1", "120000", "1", user=user)
    assert_pages(run.function("touch", "released_at_once.py")["self"], run.truth["pages"], slack=1500)


def test_memory_only_read_counts_faults_but_no_bytes(user: str) -> None:
    run = traced("touch_kinds.py", "only_read", user=user)
    row = run.function("only_read", "touch_kinds.py")
    assert abs(row["self"]) <= run.truth["accesses"] * PAGE // 100
    assert row["faults"] == pytest.approx(run.truth["accesses"], rel=0.01)


@pytest.mark.parametrize("kind", ["file_read", "file_readinto", "socket_recv_into", "os_urandom"])
def test_memory_filled_by_a_system_call(kind: str, user: str) -> None:
    """Bytes are on the calling line, or labelled by time wherever the next fault was; they are there once."""
    run = traced("system_calls.py", kind, user=user)
    pages = run.truth["pages"]
    calling = run.line(line_of("system_calls.py", kind), "system_calls.py")
    by_time = sum(row["by_time"] for row in run.report["by_line"])
    found = calling["self"] - calling["by_time"] + by_time
    assert found / PAGE >= 0.99 * pages, run.report["touched"]
    assert calling["self"] / PAGE <= 1.01 * pages
    assert run.report["touched"]["total"] / PAGE <= 1.01 * pages + 8 * 256, "counted twice?"


@pytest.mark.parametrize("depth", [3000, 5000, 20000])
def test_deep_recursion(depth: int, user: str) -> None:
    """Beyond the limit of 4,096 frames the innermost and the outermost ones are kept."""
    run = traced("recursion.py", str(depth), user=user)
    pages = run.truth["pages"]
    assert_pages(run.function("innermost", "recursion.py")["self"], pages)
    assert_pages(run.line(line_of("recursion.py", "innermost"), "recursion.py")["self"], pages)
    assert_pages(run.function("second_last", "recursion.py")["total"], pages)
    # Python's own stack of frames: some hundred bytes a frame, in `descend`.
    frames = depth * 512 // PAGE
    for name in "descend", "second", "outermost":
        assert_pages(run.function(name, "recursion.py")["total"], pages, slack=frames, what=name)
    imports = 1024
    assert_pages(run.function("<module>", "recursion.py")["total"], pages, slack=frames + imports, what="<module>")


def test_generator(user: str) -> None:
    run = traced("suspended.py", "generator", user=user)
    assert_pages(run.function("grow", "suspended.py")["self"], run.truth["pages"])
    assert_pages(run.line(line_of("suspended.py", "grow"), "suspended.py")["self"], run.truth["pages"])
    assert_pages(run.function("grow_through", "suspended.py")["total"], run.truth["pages"], slack=16)
    assert_pages(run.function("consume", "suspended.py")["total"], run.truth["pages"], slack=16)


def test_coroutines(user: str) -> None:
    run = traced("suspended.py", "coroutine", user=user)
    pages = run.truth["pages"]
    assert_pages(run.function("alpha", "suspended.py")["self"], pages)
    assert_pages(run.function("outer_alpha", "suspended.py")["total"], pages, slack=32)
    assert_pages(run.function("beta", "suspended.py")["self"], pages // 2)
    assert run.function("both", "suspended.py")["total"] <= 0.01 * pages * PAGE, "a suspended coroutine holds nothing"
    assert run.function("main", "suspended.py")["total"] >= 1.49 * pages * PAGE


def test_async_generator(user: str) -> None:
    run = traced("suspended.py", "async_generator", user=user)
    assert_pages(run.function("agrow", "suspended.py")["self"], run.truth["pages"])
    assert_pages(run.function("aconsume", "suspended.py")["total"], run.truth["pages"], slack=32)


def test_code_objects_at_reused_addresses(user: str) -> None:
    run = traced("made_code.py", "reused", user=user)
    assert run.truth["addresses"] < run.truth["count"] / 2, "the program did not do what this test is about"
    rows = {row["function"]: row for row in run.report["by_function"] if row["function"].startswith("made_")}
    assert sorted(rows) == [f"made_{number:03}" for number in range(run.truth["count"])]
    for number in range(run.truth["count"]):
        row = rows[f"made_{number:03}"]
        assert row["file"] == f"<made {number:03}>"
        assert row["first_line"] == 2
        assert_pages(row["self"], run.truth["pages"], slack=2, what=row)
    lines = {(row["file"], row["line"]) for row in run.report["by_line"] if row["function"].startswith("made_")}
    assert {(f"<made {number:03}>", 4) for number in range(run.truth["count"])} <= lines


def test_function_redefined_at_the_same_line(user: str) -> None:
    run = traced("made_code.py", "redefined", user=user)
    assert_pages(run.line(4, "<cell>")["self"], run.truth["first"])
    assert_pages(run.line(5, "<cell>")["self"], run.truth["second"])
    assert_pages(run.function("again")["self"], run.truth["first"] + run.truth["second"])


@needs_numpy
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: the library starts no threads")
def test_native_threads_started_while_tracing(user: str) -> None:
    run = traced("blas_threads.py", user=user)
    assert run.truth["correct"]
    if run.truth["threads"] < 2:
        pytest.skip("this numpy has no threads of its own")
    assert any("openblas" in Path(name).name for name in loaded_libraries(run)), run.report["by_module"]
    native = [row for row in run.report["by_line"] if row["function"].startswith("<") and "openblas" in row["function"]]
    assert native, [row["function"] for row in run.report["by_line"] if row["function"].startswith("<")]
    assert not any(row["line"] for row in native)
    found = sum(row["self"] for row in native) + run.function("multiply", "blas_threads.py")["self"]
    assert found >= 0.99 * run.truth["pages"] * PAGE
    others = [row for row in run.report["by_thread"] if row["tid"] != run.truth["main"]]
    assert sum(row["bytes"] for row in others) > 0


def loaded_libraries(run: Traced) -> set[str]:
    """Every text in the rows of by_module."""
    return {value for row in run.report["by_module"] for value in row.values() if isinstance(value, str)}


def test_named_threads(user: str) -> None:
    run = traced("touching_threads.py", "named", user=user)
    assert_pages(run.function("touch", "touching_threads.py")["self"], run.truth["pages"])
    rows = {row["tid"]: row for row in run.report["by_thread"]}
    for share in run.truth["shares"]:
        # A thread also touches its stack and what the allocator keeps for it; and threads that fault at the same moment
        # exchange single pages: their sum is what is exact.
        assert_pages(rows[share["tid"]]["bytes"], share["pages"], slack=160, what=share)
    assert [rows[share["tid"]]["name"] for share in run.truth["shares"]] == [s["name"] for s in run.truth["shares"]]


def test_pool_of_threads(user: str) -> None:
    run = traced("touching_threads.py", "pool", user=user)
    pages = run.truth["pages"]
    assert_pages(run.function("touch", "touching_threads.py")["self"], pages)
    by_thread = sum(row["bytes"] for row in run.report["by_thread"] if row["tid"] in run.truth["threads"])
    assert_pages(by_thread, pages, slack=48 * len(run.truth["threads"]))


def test_the_rows_agree_with_each_other(user: str) -> None:
    """The same bytes, cut by line, by function, by module and by thread."""
    run = traced("touching_threads.py", "named", user=user)
    by_line = sum(row["self"] for row in run.report["by_line"])
    assert sum(row["self"] for row in run.report["by_function"]) == by_line
    assert sum(row["self"] for row in run.report["by_module"]) == by_line
    assert sum(row["faults"] for row in run.report["by_function"]) == sum(r["faults"] for r in run.report["by_line"])
    assert_pages(sum(row["bytes"] for row in run.report["by_thread"]), by_line // PAGE, slack=512)


def test_what_is_touched_is_what_rss_rose_by(user: str) -> None:
    """Of a program that releases next to nothing."""
    run = traced("touch_kinds.py", "mmap_private", user=user)
    rise = run.report["rss"]["peak"] - run.report["rss"]["start"]
    assert_pages(run.report["touched"]["total"], rise // PAGE, slack=512)


def test_the_tracer_lists_its_own_pages(user: str) -> None:
    """At most 2 MiB and 64 KiB a thread."""
    run = traced("touching_threads.py", "named", user=user)
    assert 0 < run.report["touched"]["tracer"] <= (2 << 20) + 4 * (64 << 10)


def test_the_result_is_repeatable(user: str) -> None:
    if user != any_user():
        pytest.skip("once is enough")
    need_faults(user)
    first = traced("touch_kinds.py", "bytes_repeat", user=user)
    second = trace("touch_kinds.py", "bytes_repeat", user=user)
    assert_pages(second.function("bytes_repeat")["self"], first.function("bytes_repeat")["self"] // PAGE)
