"""Real programs behave the same traced as bare, and the books of their traces close.

The programs are those of bench/programs at scale 0. A missing package is a failure, not a skip: these tests are the
only ones that see large libraries.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from integration.harness import assert_same, both, report, users

BENCH = Path(__file__).parents[2] / "bench"
REQUIREMENTS = BENCH / "requirements.txt"
NOT_REAL = {"fib", "touch"}
PROGRAMS = sorted(path.stem for path in (BENCH / "programs").glob("[!_]*.py"))


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_output_and_closed_books(name: str, user: str) -> None:
    """Traced and bare print the same and end alike; every byte touched is in exactly one row."""
    bare, traced, path = both(BENCH / "programs" / f"{name}.py", "0", user=user)
    if "ModuleNotFoundError" in bare.stderr:
        missing = bare.stderr.splitlines()[-1]
        pytest.fail(f"{missing}: install it with `{sys.executable} -m pip install -r {REQUIREMENTS}`", pytrace=False)
    assert bare.status == 0, bare.stderr
    assert bare.stdout
    assert_same(bare, traced)
    assert_books_close(report(path))


def assert_books_close(found: dict[str, Any]) -> None:
    """The total is the sum of what lines, kernel and tracer touched, and the lines have some of it."""
    touched = found["touched"]
    lines = sum(row["self"] for row in found["by_line"])
    assert touched["total"] == lines + touched["kernel"] + touched["tracer"]
    assert found["end"] == {"kind": "exit", "value": 0}
    if found["engine"]["name"] != "none":
        assert lines > 0


def test_at_least_ten_real_programs() -> None:
    """The promise is about real programs, at least ten of them."""
    assert len(set(PROGRAMS) - NOT_REAL) >= 10
