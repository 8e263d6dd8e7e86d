"""The timer engine on programs whose truth is known: what grows for 50 ms or more gets its bytes within 15 %."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest

from integration.harness import PAGE, Traced, any_user, trace, users

each_user = pytest.mark.parametrize("user", users())


def ticked(target: str, *arguments: str, user: str, **how: Any) -> Traced:
    """A trace by the timer engine of a program that ended well, with its books checked."""
    options = () if how else ("--engine", "timer")
    result = trace(target, *arguments, user=user, options=options, **how)
    assert (result.stderr, result.status) == ("", 0)
    assert result.report["engine"]["name"] == "timer", result.report["engine"]
    touched = result.report["touched"]
    rows = result.report["by_line"]
    assert touched["total"] == sum(row["self"] for row in rows) + touched["kernel"] + touched["tracer"]
    assert all(row["by_time"] == row["self"] and row["faults"] == 0 for row in rows)
    return result


def assert_near(measured: int, pages: int, what: str) -> None:
    assert measured / PAGE == pytest.approx(pages, rel=0.15), f"{what}: {measured / PAGE:.0f} pages, not {pages}"


@each_user
@pytest.mark.parametrize("refuse_perf", [0, 1], ids=["asked_for", "refused"])
def test_functions_that_grow(refuse_perf: int, user: str) -> None:
    run = ticked("growing.py", "one_thread", user=user, **({"refuse_perf": refuse_perf} if refuse_perf else {}))
    for name, pages in run.truth["functions"].items():
        assert_near(run.function(name, "growing.py")["total"], pages, name)


@each_user
def test_two_threads(user: str) -> None:
    """They run in turns, or at once: each gets its own."""
    run = ticked("growing.py", "two_threads", user=user)
    rows = {row["tid"]: row for row in run.report["by_thread"]}
    for share in run.truth["shares"]:
        assert_near(rows[share["tid"]]["bytes"], share["pages"], share["name"])
        assert_near(run.function(share["name"], "growing.py")["total"], share["pages"], share["name"])


@pytest.mark.parametrize("way", ["short", "short_threads"])
def test_functions_of_fifty_milliseconds(way: str) -> None:
    """A dozen ticks each, so one in the wrong place is 8 %, and more where the neighbour grows faster: most are within
    15 %, the median well within.

    Judged are the calls that nobody else took the CPU from, which takes ticks away: all of them where the program may
    put itself ahead of others (as root), else fewer on a busy machine.
    """
    errors: list[float] = []
    for _ in range(6):
        run = ticked("growing.py", way, user=any_user())
        found = {row["function"]: row["total"] / PAGE for row in run.report["by_function"]}
        calm = [call for call in run.truth["calls"] if call["preempted"] <= 10]
        errors += [abs(found.get(call["name"], 0) / call["pages"] - 1) for call in calm]
        if len(errors) >= 12:
            break
    else:
        pytest.skip(f"the machine is too busy: only {len(errors)} calls had a CPU for themselves")
    assert median(errors) <= 0.1, sorted(errors)
    assert sum(error <= 0.15 for error in errors) >= 0.75 * len(errors), sorted(errors)


@each_user
def test_what_is_touched_is_what_rss_rose_by(user: str) -> None:
    """Of a program that releases next to nothing: nothing is lost between two ticks."""
    run = ticked("growing.py", "one_thread", user=user)
    rise = run.report["rss"]["end"] - run.report["rss"]["start"]
    found = run.report["touched"]["total"] - run.report["touched"]["tracer"]
    assert found == pytest.approx(rise, rel=0.05)
