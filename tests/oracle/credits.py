"""Pages of owners whose address is not known yet (residency.py): their credit."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple


class Owner(NamedTuple):
    """Who touched a page: a thread in a stack; `native` is the place of a stack without Python frames."""

    node: int  # the first in Trace.nodes of those that are the same stack
    thread: int
    native: tuple[str, int] | None


@dataclass
class Credit:
    owner: Owner
    birth: int
    pages: int


class Credits:
    """Pages of owners whose address is not known, by their age."""

    def __init__(self) -> None:
        self.all: list[Credit] = []
        self.by_owner: dict[Owner | str, list[Credit]] = defaultdict(list)
        self.by_birth: dict[tuple[Owner | str, int], list[Credit]] = defaultdict(list)
        self.sums: Counter[Owner | str] = Counter()
        self.pages = 0

    def of(self, owner: Owner | str) -> int:
        return self.sums[owner]

    def lend(self, owner: Owner, time: int, pages: int) -> None:
        if pages > 0:
            credit = Credit(owner, time, pages)
            self.all.append(credit)
            self.by_owner[owner].append(credit)
            self.by_birth[owner, time].append(credit)
            self.sums[owner] += pages
            self.pages += pages

    def use(self, credit: Credit, pages: int) -> None:
        """So many of its pages have been found, or have gone."""
        credit.pages -= pages
        self.sums[credit.owner] -= pages
        self.pages -= pages

    def spend(self, owner: Owner, birth: int, limit: int) -> int | None:
        """A page of an owner's has been found that came in then: of that credit, else of the youngest. Its birth.

        Later ones than the limit only if there is no other: their pages may not have been looked at.
        """
        self.by_owner[owner] = left = [credit for credit in self.by_owner[owner] if credit.pages]
        earlier = [credit for credit in left if credit.birth <= limit]
        of_birth = [credit for credit in self.by_birth[owner, birth] if credit.pages]
        credits = of_birth[-1:] or earlier[-1:] or left[:1]
        if not credits:
            return None
        self.use(credits[0], 1)
        return credits[0].birth

    def spend_born(self, owner: Owner, birth: int) -> bool:
        """A page of an owner's has been found that came in just then; False: it has no credit of that time."""
        credits = [credit for credit in self.by_birth[owner, birth] if credit.pages]
        if credits:
            self.use(credits[-1], 1)
        return bool(credits)

    def oldest_first(self, limit: int) -> list[Credit]:
        """Those born up to a time that are not used up."""
        self.all = [credit for credit in self.all if credit.pages]
        return [credit for credit in self.all if credit.birth <= limit]
