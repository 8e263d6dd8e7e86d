"""SIGTRAP is the engine's while it runs, and the program cannot tell."""

from __future__ import annotations

import pytest

from integration.harness import TARGETS, assert_pages, assert_same, both, need_faults, report, users

each_user = pytest.mark.parametrize("user", users())


@each_user
@pytest.mark.parametrize("way", ["handler_then_raise", "default", "ignore", "die", "handler_that_raises", "refusals"])
def test_the_program_may_use_sigtrap(way: str, user: str) -> None:
    bare, traced, path = both(TARGETS / "sigtrap.py", way, user=user)
    assert_same(bare, traced)
    need_faults(user)
    rows = [row for row in report(path)["by_function"] if row["function"] == "touch"]
    assert_pages(sum(row["self"] for row in rows), 4000)
