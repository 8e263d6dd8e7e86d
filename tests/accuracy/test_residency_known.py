"""Programs that know whose memory is resident: each kind of memory once, as root with every fault told and as a user
with the adaptive period. `make stress` runs all of them in all ways."""

from __future__ import annotations

import pytest

from accuracy.known import CASES, Case, check_known
from accuracy.resident import as_user
from integration.harness import any_user

# What differs from another in an amount or an order alone.
LIKE_OTHERS: list[Case] = [
    ("stages.py", ""),
    ("stages.py", "first,second,third"),
    ("stages.py", "third,first,fourth,second"),
    *(("touched_part.py", percent, "up") for percent in ("0", "25", "75", "100")),
    ("touched_part.py", "50", "down"),
    ("huge.py", "never"),
    ("kernel_only.py", "populate"),
]
ADAPTIVE: list[Case] = [
    ("stages.py", "fourth,third,second,first"),
    ("given_back.py", "again"),
    ("in_pieces.py",),
    ("lists.py", "append"),
    ("lists.py", "pinned"),
    ("threads.py",),
    ("forks.py",),
]


@pytest.mark.parametrize("case", [case for case in CASES if case not in LIKE_OTHERS], ids="-".join)
def test_every_fault(case: Case) -> None:
    check_known(case, any_user(), "exact")


@as_user
@pytest.mark.parametrize("case", ADAPTIVE, ids="-".join)
def test_adaptive_period(case: Case, user: str) -> None:
    check_known(case, user, "adaptive")
