"""Programs that know whose memory is resident, and all that must hold of a trace of one.

The truth is the program's own reading of /proc/self/pagemap, see tests/targets/residency/_truth.py: each owner has its
bytes within 2 %, at the peak and at the end; the oracle agrees with the analysis to the byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from accuracy.resident import (
    LEAST_OWNED,
    Resident,
    assert_books_close,
    assert_bytes,
    assert_owners,
    report,
    resident,
    share_owned,
)
from accuracy.resident_books import check_history, check_owners, check_pages, check_snapshots
from integration.harness import PAGE, Traced

MIB = 1 << 20
Case = tuple[str, ...]
CASES: list[Case] = [
    ("stages.py", ""),
    ("stages.py", "first,second,third"),
    ("stages.py", "fourth,third,second,first"),
    ("stages.py", "second,fourth"),
    ("stages.py", "third,first,fourth,second"),
    ("given_back.py", "half"),
    ("given_back.py", "again"),
    ("given_back.py", "every_other"),
    *(("touched_part.py", str(percent), "up") for percent in (0, 25, 50, 75, 100)),
    ("touched_part.py", "50", "down"),
    ("touched_part.py", "25", "apart"),
    ("lists.py", "append"),
    ("lists.py", "pinned"),
    ("file_part.py", "private"),
    ("file_part.py", "shared"),
    ("in_pieces.py",),
    ("cache.py", "8"),
    ("threads.py",),
    ("forks.py",),
    ("huge.py", "always"),
    ("huge.py", "madvise"),
    ("huge.py", "never"),
    ("kernel_only.py", "read"),
    ("kernel_only.py", "populate"),
    ("named.py",),
]
# What counters a CPU keep to themselves of RSS, before they are added up: VmHWM is told without them.
UNTOLD = (os.cpu_count() or 1) * 64 * PAGE


def check_known(case: Case, user: str, period: str) -> None:
    """Trace it and look at everything. All that is wrong is said, not the first thing alone."""
    skip_without_huge_pages(case)
    run = resident(*case, user=user, period=period)
    if case == ("huge.py", "madvise") and run.truth["huge"] < 60 * MIB:
        pytest.skip("the kernel had no huge pages left")
    wrong: list[str] = []
    for check in [*CHECKS, *OF_PROGRAM.get(case[0], []), *OF_ORACLE]:
        try:
            check(run) if check in OF_ORACLE else check(run, case, period)
        except AssertionError as error:
            wrong.append(f"{check.__name__}: {error}")
    assert not wrong, "\n".join(wrong)


def skip_without_huge_pages(case: Case) -> None:
    if case[0] == "huge.py" and case[1] != "never":
        try:
            chosen = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text().split("[")[1].split("]")[0]
        except OSError:
            chosen = "never"
        if chosen == "never" or case[1] == "always" != chosen:
            pytest.skip(f"transparent huge pages are set to {chosen} here")


def check_peak(run: Resident, case: Case, period: str) -> None:
    assert_books_close(run.report)
    at = run.report["at"]
    assert at["kind"] == "peak"
    # On a busy machine the watcher's last look may come before the peak; the program's own does not.
    highest = max(run.highest, run.truth["rss_peak"])
    assert abs(at["rss"] - highest) <= 0.01 * highest + UNTOLD, f"{at['rss']}, but VmHWM is {highest}"
    check_of_functions(run, "peak", case)


def check_end(run: Resident, case: Case, period: str) -> None:
    assert_books_close(run.end)
    at = run.end["at"]
    assert at["kind"] == "end"
    assert at["rss"] == pytest.approx(run.truth["rollup_end"], rel=0.01), "smaps_rollup said another sum"
    # What is missing in the sum, or too much: nothing of it may hide in it.
    assert abs(at["unexplained"]) <= 0.01 * at["rss"] + at["error_band"], at
    check_of_functions(run.at_end(), "end", case)


def check_of_functions(found: Traced, moment: str, case: Case) -> None:
    if case[0] != "kernel_only.py":
        # A signal for several faults tells of all of them where the last was, and of what comes after the last signal.
        told_together = found.report["engine"]["period"] - 1
        assert_owners(found, found.truth[moment], case[0], slack=16 + told_together)


def check_shares(run: Resident, case: Case, period: str) -> None:
    for found in run.report, run.end:
        # Of less what the interpreter itself needs is a large part.
        if found["at"]["rss"] - found["at"]["before_start"] >= 16 * MIB:
            assert share_owned(found["at"]) >= LEAST_OWNED[period], found["at"]


def check_system_calls(run: Resident, case: Case, period: str) -> None:
    """No signal comes from inside a read(): its pages are on the reader's line, or labelled where they are."""
    found = run.at_end().function(case[1], case[0])["total"]
    at, truth = run.end["at"], run.truth["end"][case[1]]
    assert found + at["by_time"] + at["fill"] + at["kernel"] >= 0.98 * truth, at
    assert found <= 1.02 * truth + 16 * PAGE


def check_threads(run: Resident, case: Case, period: str) -> None:
    for found, moment in ((run.report, "peak"), (run.end, "end")):
        rows = {row["tid"]: row["bytes"] for row in found["by_thread"]}
        for share in run.truth["threads"]:
            # A thread also touches its stack and what the allocator keeps for it.
            assert_bytes(rows[share["tid"]], share[moment], (moment, share), slack=160)


def check_child(run: Resident, case: Case, period: str) -> None:
    """Copy-on-write: what it wrote is the child's, what it only inherited was there before its start."""
    truth = run.truth["child"]
    found = report(run.path, "--pid", str(truth["pid"]), "--at", "end")
    assert_books_close(found, truth["pid"])
    child = Traced(0, "", "", 0.0, run.path, found)
    assert_owners(child, truth["end"], case[0])
    [row] = [each for each in found["processes"] if each["pid"] == truth["pid"]]
    assert row["at"]["before_start"] >= 0.98 * truth["inherited"]
    assert child.function("build", case[0])["self"] <= 64 * PAGE


CHECKS: list[Callable[..., None]] = [check_peak, check_end, check_shares]
OF_PROGRAM: dict[str, list[Callable[..., None]]] = {
    "kernel_only.py": [check_system_calls],
    "threads.py": [check_threads],
    "forks.py": [check_child],
}
OF_ORACLE: list[Callable[..., None]] = [check_owners, check_history, check_snapshots, check_pages]
