"""Pages and the mappings of a snapshot, for the replay of residency (residency.py)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TypeVar

from oracle.residency_records import Region

HUGE_PAGES = 512
FILE, SHARED, KERNEL = "file", "shared", "kernel"
ANONYMOUS, HUGE, MAPPED = 1, 2, 3  # states of a page that is there
SHARED_REGION, TRACER_REGION = 4, 5
_T = TypeVar("_T")


def within(book: dict[int, _T], span: range) -> list[int]:
    """The pages of a span that a book has; it may be much wider than the book."""
    if len(span) < len(book):
        return [page for page in span if page in book]
    return [page for page in book if page in span]


def window(rise: int) -> int:
    """How many pages the block around a fault has that brought in so many."""
    size = 1
    while size < min(rise, HUGE_PAGES):
        size *= 2
    return size


def category(state: int, region: Region | None) -> str:
    """Pages without a stack."""
    if region and region.kind == SHARED_REGION:
        return SHARED
    return FILE if state == MAPPED else KERNEL


def contiguous(entries: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Runs of pages side by side."""
    run: list[tuple[int, int]] = []
    for entry in entries:
        if run and entry[0] != run[-1][0] + 1:
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def region_of(page: int, regions: list[Region]) -> Region | None:
    """`regions` stand in the order of their addresses."""
    place = bisect_right(regions, page, key=lambda region: region.first) - 1
    return regions[place] if place >= 0 and page < regions[place].first + regions[place].pages else None


def by_region(
    run: list[tuple[int, int]], regions: list[Region]
) -> Iterator[tuple[list[tuple[int, int]], Region | None]]:
    """The run cut where one region ends and the next begins."""
    part: list[tuple[int, int]] = []
    region: Region | None = None
    for entry in run:
        at = region_of(entry[0], regions)
        if part and at is not region:
            yield part, region
            part = []
        part.append(entry)
        region = at
    yield part, region
