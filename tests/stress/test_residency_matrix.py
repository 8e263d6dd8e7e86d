"""Programs that know whose memory is resident, all of them in all ways: privileged or not, every fault or the adaptive
period, huge pages as the machine may be set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from accuracy.known import CASES, Case, check_known
from accuracy.resident import each_period, each_user, resident

pytestmark = [pytest.mark.stress, each_user, each_period]
CHOICE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_known(case: Case, user: str, period: str) -> None:
    check_known(case, user, period)


@pytest.fixture
def huge_pages(request: pytest.FixtureRequest) -> Iterator[str]:
    """The whole machine's choice, for the time of a test."""
    if not os.access(CHOICE, os.W_OK):
        pytest.skip("the machine's choice of huge pages cannot be changed here")
    before = CHOICE.read_text().split("[")[1].split("]")[0]
    resident.cache_clear()
    CHOICE.write_text(request.param)
    try:
        yield request.param
    finally:
        CHOICE.write_text(before)
        resident.cache_clear()


@pytest.mark.parametrize(
    ("huge_pages", "case"),
    [
        ("always", ("huge.py", "always")),
        ("always", ("lists.py", "append")),
        ("always", ("stages.py", "second,fourth")),
        ("madvise", ("huge.py", "madvise")),
        ("never", ("huge.py", "never")),
    ],
    indirect=["huge_pages"],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_huge_pages(case: Case, huge_pages: str, user: str, period: str) -> None:
    check_known(case, user, period)
