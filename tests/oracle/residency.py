"""Who holds which page: recomputed page by page from a decoded trace, to check the C analysis.

Written from the rules of docs/format.md and of the requirement, not from core/analyze. Each page is one entry of a
dict, everything happens in the order of time, and what was resident when is a list of lives. For small traces only.

The rules. A fault with a rise gives its page to the stack that ran, and with a rise of 512 pages of its own the whole
block of 2 MiB. One that stands for several takes what lies between it and its thread's last, if that is about as far as
RSS rose. The other pages of a rise are the owner's *credit*: pages whose address is not known. A snapshot says which
pages are there. One that is gone died when RSS was seen to fall. One that is there without an owner is its who touched
the naturally aligned window around it, else its owned neighbour's; each uses up credit of its owner, or of others if
that has none, the youngest first. What is then left over of the credit died too; credit since the last snapshot counts
by time, as long as RSS has room for it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from oracle.credits import Credits, Owner
from oracle.frames import instruction, same_stacks
from oracle.gone import UNSEEN, Gone, Missed
from oracle.records import Fault, Trace
from oracle.residency_records import Move, Region, Resident, Snapshot
from oracle.spans import (
    ANONYMOUS,
    FILE,
    HUGE,
    HUGE_PAGES,
    KERNEL,
    MAPPED,
    SHARED,
    TRACER_REGION,
    by_region,
    category,
    contiguous,
    region_of,
    window,
    within,
)
from oracle.steps import Begin, End, Look, Rss, Step, lag, steps

MAP_PAGES = 1 << 29  # of a map of the analysis
BEFORE, TRACER = "before_start", "tracer"
START, FELL = 1, 2  # kinds of snapshots
EXACT, FILL, BY_TIME = "exact", "fill", "by_time"
FOREVER, OVERS_MAX = 1 << 63, 1 << 16


class Life(NamedTuple):
    """One page's (or a credit's) time in memory. `owner` is an Owner, or the name of a category without one."""

    owner: Owner | str
    how: str
    birth: int


@dataclass
class History:
    """What was resident when. `pages` is the map at the end of the trace."""

    pages: dict[int, Life] = field(default_factory=dict)
    lives: Counter[tuple[Life, int]] = field(default_factory=Counter)  # (life, death) -> pages

    def at(self, time: int) -> Counter[tuple[Owner | str, str]]:
        """(owner or category, how it was found) -> pages at a time."""
        found: Counter[tuple[Owner | str, str]] = Counter()
        for (life, death), pages in self.lives.items():
            if life.birth <= time < death:
                found[life.owner, life.how] += pages
        return found


def history(trace: Trace, process: int = 0) -> History:
    """The lives of all pages of one process."""
    walk = _Walk(trace, process)
    for _, _, step in sorted(steps(trace, process), key=lambda each: each[:2]):
        walk.step(step)
    return walk.finish()


class _Walk:
    def __init__(self, trace: Trace, process: int) -> None:
        self.trace, self.process = trace, process
        self.start = trace.processes[process].time if process else 0  # the first is there when the trace begins
        self.stacks = same_stacks(trace)
        self.lag = lag(trace)
        self.result = History()
        self.pages = self.result.pages
        self.asked: dict[int, Life] = {}  # pages of faults that raised nothing: theirs, if they are there
        self.windows: dict[tuple[int, int], tuple[int, Life]] = {}  # (size, first page) -> of the last fault that wide
        self.last: dict[int, tuple[int, int]] = {}  # of each thread the last fault with a rise: page, time
        self.quiet: set[int] = set()  # threads that faulted without a rise since
        self.reach: Counter[Owner] = Counter()  # of each owner the largest rise of a fault that stood for several
        self.rss, self.fell = 0, 0  # as last read; when it was last seen to have fallen
        self.nobodys: list[tuple[int, Life]] = []  # pages that snapshots found and nobody has told of yet
        self.counted = False  # a snapshot has said what was there before
        self.wide: Owner | None = None  # of the last fault, if it stood for several
        self.may_tell = 0  # so many pages that the last snapshot found
        self.untold: list[tuple[int, int]] = []  # since the last fault: from a time on so many pages more than known
        self.overs: list[
            tuple[int, int]
        ] = []  # of each reading since the last snapshot: its time, what had no room in it
        self.credits = Credits()
        self.missed = Gone(lags=self.lag > 0)
        self.snapshot: Snapshot | None = None  # being taken
        self.orphans = 0  # pages that it found, anonymous and without a neighbour, and that still are nobody's
        self.debt = 0  # pages that it gave to owners without credit: others' faults brought them in
        self.unpaid: list[
            tuple[int, Life]
        ] = []  # the orphans, a file's pages, and those of the debt that are a neighbour's

    def step(self, step: Step) -> None:
        if isinstance(step, Fault):
            self.fault(step)
        elif isinstance(step, Move):
            self.move(step)
        elif isinstance(step, Begin):
            self.begin(step.snapshot)
        elif isinstance(step, Look):
            self.look(step.piece)
        elif isinstance(step, End):
            self.settle(step.snapshot)
            self.orphans, self.debt, self.unpaid = 0, 0, []
        else:
            self.read(step)

    def finish(self) -> History:
        end = self.trace.processes[self.process].end
        death = end[2] + 1 if end else FOREVER  # at its end it still has them
        if self.snapshot:
            self.missed.settle(min(self.snapshot.since, self.snapshot.time), self.snapshot.time)
        if self.wide:  # what came in after the last signal is its owner's: no later one tells of it
            self.tell_of_readings(self.wide, death)
            self.tell()
        for life in self.pages.values():
            self.result.lives[life, death] += 1
        self.miss_credits(FOREVER, death)
        self.missed.settle(death, death)
        return self.result

    # Touches

    def fault(self, fault: Fault) -> None:
        owner = self.owner(fault)
        page = fault.address // self.trace.page_size
        alone = fault.by_time or fault.weight > 1  # what else came in says nothing about the pages around this one
        self.wide = owner if fault.weight > 1 else None
        self.may_tell = fault.weight * HUGE_PAGES
        if self.wide:  # it came in before this one of several faults
            self.tell_of_readings(owner, fault.time)
        self.untold = []
        if fault.tick or fault.address == 0:
            self.credits.lend(owner, fault.time, fault.rise)
        elif fault.rise == 0:
            self.quiet.add(fault.thread)
            self.touch_quietly(page, owner, fault.time)
        elif fault.rise >= HUGE_PAGES and not alone:
            first = page - page % HUGE_PAGES
            for each in range(first, first + HUGE_PAGES):
                self.own(each, owner, fault.time)
            self.credits.lend(owner, fault.time, fault.rise - HUGE_PAGES)
        else:
            given = self.passed(fault, page, owner)
            life = self.own(page, owner, fault.time)
            told = self.tell()
            if fault.rise > 1 and not alone:
                size = window(fault.rise)
                first = page - page % size
                self.windows[size, first] = (page, life)
                given += self.found_too_early(range(first, first + size), life, fault.rise - 1 - given)
            self.credits.lend(owner, fault.time, fault.rise - 1 - given - told)

    def tell_of_readings(self, owner: Owner, time: int) -> None:
        """What RSS had more than was known is this one's, also what has gone again."""
        for (since, pages), (until, _) in itertools.pairwise([*self.untold, (time, 0)]):
            self.result.lives[Life(owner, BY_TIME, since), until] += pages

    def tell(self) -> int:
        """What snapshots found, and nobody told of, came in before this one of several faults: how much."""
        told = 0
        while self.wide and self.nobodys and told < self.may_tell:
            page, life = self.nobodys.pop()
            if self.pages.get(page) == life:
                self.pages[page] = Life(self.wide, BY_TIME, life.birth)
                told += 1
        self.may_tell -= told
        return told

    def found_too_early(self, window: range, life: Life, most: int) -> int:
        """A process may run before it has been looked at: what that finds may have come in since. How many."""
        if not self.snapshot or self.snapshot.kind != START:
            return 0
        found = [page for page in window if page in self.pages and self.pages[page].owner == BEFORE][:most]
        for page in found:
            self.end(page, life.birth)
            self.pages[page] = life
        return len(found)

    def passed(self, fault: Fault, page: int, owner: Owner) -> int:
        """How many pages the thread came through since its last signal that looked like others', or like it was before.

        It goes through memory if it got at least half as far as RSS rose, and not farther.
        """
        several = fault.weight > 1 or fault.thread in self.quiet  # signals, or RSS lagged and shows theirs now
        self.quiet.discard(fault.thread)
        if several:
            self.reach[owner] = max(self.reach[owner], min(fault.rise, MAP_PAGES))
        last, when = self.last.get(fault.thread, (page, 0))
        self.last[fault.thread] = (page, fault.time)
        far = abs(page - last)
        if not several or not when or not far <= fault.rise <= 2 * far:
            return 0
        between = range(min(page, last) + 1, max(page, last))
        stale = [each for each in between if (old := self.pages.get(each)) and self.looks_old(old, when)]
        for each in stale:
            self.own(each, owner, fault.time)
            self.pages[each] = self.pages[each]._replace(how=FILL)
        return len(stale)

    def looks_old(self, life: Life, before: int) -> bool:
        return life.owner == KERNEL or (life.birth < before and life.owner != TRACER)

    def touch_quietly(self, page: int, owner: Owner, time: int) -> None:
        old = self.pages.get(page)
        if old and old == Life(BEFORE, EXACT, self.start):
            self.end(page, time)  # a copy on write: it is this one's now (not of a file: that would be a rise)
            self.pages[page] = Life(owner, EXACT, time)
        elif not old:
            self.asked[page] = Life(owner, EXACT, time)

    def owner(self, fault: Fault) -> Owner:
        rootless = self.trace.nodes[fault.node].code == 0
        place = instruction(self.trace, fault.caller or fault.site) if rootless else None
        return Owner(self.stacks[fault.node], fault.thread, place)

    def own(self, page: int, owner: Owner, time: int) -> Life:
        """It came in: what was there had gone by then."""
        self.come_in(page, Life(owner, EXACT, time))
        return self.pages[page]

    def come_in(self, page: int, life: Life) -> None:
        old = self.pages.get(page)
        if old and old.owner == KERNEL:  # was there already, and nobody knew whose it was
            found_now = self.snapshot is not None and old.birth == self.snapshot.time
            self.orphans -= found_now
            self.result.lives[old, old.birth if found_now else life.birth] += 1
        else:
            self.gone(page, life.birth, again=True)
        self.asked.pop(page, None)
        self.pages[page] = life

    def end(self, page: int, time: int) -> None:
        """The page's life ends, if it has one; not before its birth."""
        self.asked.pop(page, None)
        old = self.pages.pop(page, None)
        if old:
            self.result.lives[old, max(time, old.birth)] += 1

    def move(self, move: Move) -> None:
        old = range(move.old, move.old + move.pages)
        shift = move.new - move.old
        taken = [{each + shift: book.pop(each) for each in within(book, old)} for book in (self.pages, self.asked)]
        for each in self.known(range(move.new, move.new + move.pages)):
            self.end(each, move.time)
        self.pages.update(taken[0])
        self.asked.update(taken[1])

    def known(self, span: range) -> list[int]:
        return [*within(self.pages, span), *within(self.asked, span)]

    # Snapshots

    def begin(self, snapshot: Snapshot) -> None:
        """Where nothing is mapped nothing is left. (Without any region they could not be read.)"""
        self.snapshot, self.orphans, self.debt, self.unpaid = snapshot, 0, 0, []
        self.fell = max(self.fell, snapshot.since if snapshot.kind == FELL else 0)
        if snapshot.end is None or snapshot.error or not snapshot.regions:
            return
        for page in [*self.pages, *self.asked]:
            if not region_of(page, snapshot.regions):
                self.gone(page, UNSEEN)

    def gone(self, page: int, looked: int, *, again: bool = False) -> None:
        self.asked.pop(page, None)
        life = self.pages.pop(page, None)
        if life:
            self.miss(life, 1, looked, again=again)

    def miss(self, life: Life, pages: int, looked: int, *, again: bool = False) -> None:
        categories = [BEFORE, FILE, SHARED, KERNEL, TRACER]
        thread = life.owner.thread if isinstance(life.owner, Owner) else 0
        place = categories.index(life.owner) if life.owner in categories else 8 + [EXACT, FILL, BY_TIME].index(life.how)
        rank = place, thread  # threads on two CPUs may fault in the same ns
        self.missed.add(Missed(life.birth, rank, again, looked, pages, partial(self.bury, life)))

    def bury(self, life: Life, death: int, pages: int) -> None:
        self.result.lives[life, max(death, life.birth)] += pages

    def miss_credits(self, limit: int, looked: int) -> None:
        """What no found page has used up of those born up to a time."""
        for credit in self.credits.oldest_first(limit):
            self.miss(Life(credit.owner, BY_TIME, credit.birth), credit.pages, looked)
            self.credits.use(credit, credit.pages)

    def look(self, piece: Resident) -> None:
        if not self.snapshot:
            return
        found: list[tuple[int, int]] = []
        page = piece.first
        for pages, state in piece.runs:
            span = range(page, page + pages)
            if state in (ANONYMOUS, HUGE, MAPPED):
                found += ((each, state) for each in span if each not in self.pages)
            else:
                for each in self.known(span):
                    self.gone(each, piece.time)
            page += pages
        for run in contiguous(found):
            for part, region in by_region(run, self.snapshot.regions):
                self.found(part, region, self.snapshot)

    def found(self, run: list[tuple[int, int]], region: Region | None, snapshot: Snapshot) -> None:
        """Pages of one region, side by side, that are there and have no owner."""
        start = snapshot.kind == START
        if region and region.kind == TRACER_REGION:
            self.name(run, TRACER, self.start if start else snapshot.since)
            return
        if start:
            mapped = [entry for entry in run if entry[1] == MAPPED and not self.around(entry[0])]
            rest = [e for e in run if e[1] != MAPPED and not self.asked_for(e[0]) and not self.around(e[0])]
            self.name(mapped, BEFORE, self.start, FILE)
            self.name(rest, BEFORE, self.start)
            return
        rest = [entry for entry in run if not self.asked_for(entry[0])]
        for part in contiguous([entry for entry in rest if not self.around(entry[0])]):
            self.fill(part, region, snapshot)

    def name(self, run: list[tuple[int, int]], name: str, birth: int, how: str = EXACT) -> None:
        for page, _ in run:
            self.asked.pop(page, None)
            self.pages[page] = Life(name, how, birth)

    def asked_for(self, page: int) -> bool:
        life = self.asked.pop(page, None)
        if life:
            self.give([page], life)
        return life is not None

    def around(self, page: int) -> bool:
        """It came along with the fault whose window it is in, the smallest one, if that fault's page is still its."""
        for bits in range(1, HUGE_PAGES.bit_length()):
            size = 1 << bits
            origin, life = self.windows.get((size, page - page % size), (0, None))
            if life and self.pages.get(origin) == life:
                self.give([page], life)
                return True
        return False

    def give(self, pages: Iterable[int], life: Life) -> None:
        """Pages that nobody was known to have: part of this owner's credit; without it others' brought them in."""
        for page in pages:
            assert isinstance(life.owner, Owner)
            self.pages[page] = life
            self.debt += self.spend(life.owner, life.birth) is None

    def spend(self, owner: Owner, birth: int) -> int | None:
        assert self.snapshot
        return self.credits.spend(owner, birth, self.snapshot.time)

    def give_filled(self, pages: Iterable[int], of: Life) -> None:
        """The same; they came in when the credit did, as RSS had them from then on."""
        for page in sorted(pages):
            assert isinstance(of.owner, Owner)
            birth = self.spend(of.owner, of.birth)
            self.pages[page] = life = Life(of.owner, FILL, of.birth if birth is None else birth)
            if birth is None:
                self.debt += 1
                self.unpaid.append((page, life))

    def fill(self, run: list[tuple[int, int]], region: Region | None, snapshot: Snapshot) -> None:
        """The run is its owned neighbours'."""
        pages = [page for page, _ in run]
        below, above = self.neighbour(pages[0] - 1, region), self.neighbour(pages[-1] + 1, region)
        if below and above:
            self.share(pages, below, above)
        elif below or above:
            self.give_filled(pages, below or above)  # type: ignore[arg-type]
        else:
            for page, state in run:
                kind = category(state, region)
                orphan = kind == KERNEL
                self.pages[page] = life = Life(kind, EXACT, snapshot.time if orphan else snapshot.since)
                self.orphans += orphan
                self.unpaid += [(page, life)] if orphan or kind == FILE else []

    def share(self, pages: list[int], below: Life, above: Life) -> None:
        """Who came later has as much as its credit, at its end; then the other; what is left is the later one's."""
        upper = above.birth > below.birth
        later, earlier = (above, below) if upper else (below, above)
        from_later = pages[::-1] if upper else pages
        count = min(self.credits.of(later.owner), len(pages))
        self.give_filled(from_later[:count], later)
        rest = from_later[count:]
        count = len(rest) - min(self.credits.of(earlier.owner), len(rest))
        self.give_filled(rest[count:], earlier)
        self.give_filled(rest[:count], later)

    def neighbour(self, page: int, region: Region | None) -> Life | None:
        inside = region is not None and region.first <= page < region.first + region.pages
        life = self.pages.get(page) if inside else None
        return life if life and isinstance(life.owner, Owner) else None

    def settle(self, snapshot: Snapshot) -> None:
        """What credit is left has gone, unless it is younger than the snapshot, or not all was looked at."""
        assert snapshot.end is not None
        self.nobodys = self.nobodys if self.wide else []  # between two signals there may be several snapshots
        if snapshot.kind != START:
            self.between(snapshot)
            self.nearest(snapshot)
            self.pay(snapshot)
            if not snapshot.error:
                self.miss_credits(snapshot.time, UNSEEN)
        self.snapshot, self.counted = None, True
        self.missed.settle(min(snapshot.since, snapshot.time), snapshot.time)

    def pay(self, snapshot: Snapshot) -> None:
        """Pages without credit of their owner used up others', the youngest; or RSS has not risen for them yet. A fault
        that stands for several, while the snapshot is taken, tells of what came in before it."""
        assert snapshot.end is not None
        credits = [credit for credit in reversed(self.credits.oldest_first(FOREVER)) for _ in range(credit.pages)]
        still = [(page, life) for page, life in self.unpaid if self.pages.get(page) == life]
        orphans = [page for page, life in still if life.owner == KERNEL]
        adopted = credits[: min(len(orphans), self.orphans)]
        for page, credit in zip(orphans, adopted, strict=False):
            self.pages[page] = Life(credit.owner, BY_TIME, credit.birth)
        earlier = [credit for credit in credits[len(adopted) :] if credit.birth <= snapshot.time]
        paying = earlier[: max(0, self.debt - self.lag)]
        filled = [(page, life) for page, life in still if isinstance(life.owner, Owner)]
        for (page, life), credit in zip(filled, paying, strict=False):
            self.pages[page] = life._replace(birth=credit.birth)
        for credit in adopted + paying:
            self.credits.use(credit, 1)
        for page, life in filled if self.wide and not self.lag else []:  # until then they are in what RSS had more
            if self.pages[page] == life and life.birth < snapshot.time:
                self.pages[page] = life._replace(birth=snapshot.time)
        for page, life in still:  # a file's page comes with a signal of its own, but where one stands for several
            if self.pages[page] == life and (life.owner == KERNEL or (life.owner == FILE and self.wide)):
                self.pages[page] = kept = life._replace(birth=snapshot.end)
                self.nobodys.append((page, kept))

    def between(self, snapshot: Snapshot) -> None:
        """Between two pages of an owner with credit what is older than both, and than the last fall, is its too.

        Before RSS fell no more could be so than had no room in it; of what came in later nobody knows.
        """
        since = min(snapshot.since, snapshot.time)
        most = next((over for time, over in reversed(self.overs) if time < since), FOREVER) + self.lag
        most += sum(credit.pages for credit in self.credits.all if credit.birth > since)
        self.overs = [(time, over) for time, over in self.overs if time > snapshot.time]
        last: dict[Owner, int] = {}
        gaps: list[tuple[Owner, int, int]] = []
        for page, life in sorted(self.pages.items()):
            if not isinstance(life.owner, Owner) or life.how != EXACT or not self.credits.of(life.owner):
                continue
            below = last.get(life.owner, page)
            if 1 < page - below <= self.reach[life.owner]:
                gaps.append((life.owner, below, page))
            last[life.owner] = page
        births = {page: life.birth for page, life in self.pages.items()}
        for owner, below, above in gaps:
            low, high = sorted((births[below], births[above]))
            for page in range(below + 1, above):
                old = self.pages.get(page)
                if (
                    old
                    and old.owner != owner
                    and most > 0
                    and self.looks_old(old, min(low, self.fell))
                    and self.spend(owner, high) is not None
                ):
                    self.come_in(page, Life(owner, FILL, high))
                    most -= 1

    def nearest(self, snapshot: Snapshot) -> None:
        """What was found alone is the next owner's below or above in its mapping, who came later first.

        As many as came in with just that owner's fault; when all have had theirs, as many as they have credit for.
        """
        groups = list(self.alone(snapshot))
        for born in True, False:
            for pages, below, above in groups:
                if below and above:
                    upper = above.birth > below.birth
                    self.take(pages, above if upper else below, born, upper)
                    self.take(pages, below if upper else above, born, not upper)
                else:
                    self.take(pages, below or above, born, not below)

    def alone(self, snapshot: Snapshot) -> Iterator[tuple[list[int], Life | None, Life | None]]:
        """The pages found alone between two pages of owners, or an end of the mapping (None)."""
        group: list[int] = []
        region: Region | None = None
        below: Life | None = None
        for page, life in sorted(self.pages.items()):
            at = region_of(page, snapshot.regions)
            if at is not region:
                if group and below:
                    yield group, below, None
                group, region, below = [], at, None
            if region and life.owner == KERNEL and life.birth == snapshot.time:
                group.append(page)
            elif region and isinstance(life.owner, Owner):
                if group:
                    yield group, below, life
                group, below = [], life
        if group and below:
            yield group, below, None

    def take(self, pages: list[int], of: Life | None, born: bool, upper: bool) -> None:
        """At its end of the pages, which are taken out."""
        assert of
        assert isinstance(of.owner, Owner)
        while pages:
            if born:
                birth = of.birth if self.credits.spend_born(of.owner, of.birth) else None
            else:
                birth = self.spend(of.owner, of.birth)
            if birth is None:
                break
            self.pages[pages.pop(-1 if upper else 0)] = Life(of.owner, FILL, birth)

    def read(self, reading: Rss) -> None:
        """What is known to be there and has no room in RSS has gone."""
        self.fell = reading.time if reading.pages < self.rss else self.fell
        self.rss = reading.pages
        # What the snapshot being taken has found so far without knowing whose it is, has credit too.
        known = len(self.pages) + self.credits.pages - self.orphans - self.debt
        self.overs = self.overs if len(self.overs) < OVERS_MAX else self.overs[-1:]
        self.overs.append((reading.time, max(0, known - reading.pages)))
        more = max(0, reading.pages - known) if self.counted and self.wide and not self.lag else 0
        self.missed.ebb(reading.time, known + more - reading.pages - self.lag)
        if more != (self.untold[-1][1] if self.untold else 0):
            self.untold = self.untold if len(self.untold) < OVERS_MAX else self.untold[-1:]
            self.untold.append((reading.time, more))
