"""When pages went that are no longer there, from readings of RSS: an independent account of core/analyze/gone.c's rule.

By each reading as many had gone as were known and had no room in it, or fewer if a later reading says so. Those that
were seen to be gone by then are among them; then those that came in again later; the others are the oldest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

UNSEEN = 1 << 64  # in no mapping any more, but nobody saw it go: a reading tells, at the latest the next snapshot
_UNSEEN_AGAIN = UNSEEN - 1


@dataclass
class Missed:
    """Pages of one life that were found to be gone at a time."""

    birth: int
    rank: tuple[int, int]  # among those of one birth
    again: bool  # a fault brought them in again at `looked`
    looked: int
    pages: int
    end: Callable[[int, int], None]  # (death, pages)

    def part(self, death: int, pages: int) -> int:
        self.pages -= pages
        if pages:
            self.end(death, pages)
        return pages


class Gone:
    def __init__(self, *, lags: bool) -> None:
        self.lags = lags  # a reading may be off: one of a fall's own time does not tell how much had gone by then
        self.missed: list[Missed] = []
        self.readings: list[tuple[int, int, int]] = []  # time of the one before, time, pages gone by then
        self.read = 0

    def add(self, missed: Missed) -> None:
        self.missed.append(missed)

    def ebb(self, time: int, over: int) -> None:
        """RSS was read: so many pages more were known than it had room for, or (negative) fewer."""
        self.readings.append((self.read, time, max(0, over + sum(each.pages for each in self.missed))))
        self.read = time

    def settle(self, since: int, keep: int) -> None:
        """Tells each when it went. `since`: RSS was seen to have fallen then; readings later than `keep` stay."""
        self.missed.sort(key=lambda each: (not each.again, each.birth, each.rank))
        ended = others = 0
        left: list[tuple[int, int, int]] = []
        for before, time, pages in self._rising():
            ended += sum(each.part(each.looked, each.pages) for each in self.missed if each.looked <= time)
            for each in self.missed:
                if each.birth <= time and ended + others < pages:
                    fell = before < since < time and each.birth <= since
                    ended += each.part(since if fell else time, min(each.pages, pages - ended - others))
            others = max(others, pages - ended)
            left += [(before, time, max(0, pages - ended))] if time > keep else []
        kept = []
        for each in self.missed:
            if self.read < since + self.lags and each.birth <= since <= each.looked:
                each.part(since, each.pages)
            elif each.looked == UNSEEN:
                each.looked = _UNSEEN_AGAIN
                kept.append(each)
            else:
                each.part(keep if each.looked == _UNSEEN_AGAIN else each.looked, each.pages)
        self.missed, self.readings = [each for each in kept if each.pages], left

    def _rising(self) -> list[tuple[int, int, int]]:
        """The readings at which more had gone than before, and not fewer later."""
        rising: list[tuple[int, int, int]] = []
        lowest = None
        for before, time, pages in reversed(self.readings):
            if lowest is None or pages < lowest:
                rising.append((before, time, pages))
                lowest = pages
            else:
                rising[-1] = (before, time, lowest)
        return [reading for reading in reversed(rising) if reading[2] > 0]
