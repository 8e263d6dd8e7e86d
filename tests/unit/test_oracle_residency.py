"""The oracle of ownership on small traces made by hand: each rule once."""

from __future__ import annotations

from collections import Counter

from oracle.credits import Owner
from oracle.records import Code, Fault, Mark, Node, Process, Thread, Trace
from oracle.residency import BEFORE, BY_TIME, EXACT, FILE, FILL, KERNEL, SHARED, TRACER, History, history
from oracle.residency_records import Move, Region, Resident, Snapshot

FIRST, SECOND = 1, 2  # nodes
HEAP = Region(1000, 2000, 0, "")


def trace(*steps: Fault | Move | Mark | Snapshot) -> Trace:
    """Two stacks in one thread of one process."""
    made = Trace(page_size=4096)
    made.processes.append(Process(1, 0, 0))
    made.threads.append(Thread(0, 1, 0, "main"))
    made.codes = {(0, 1): Code(1, "a.py", "first"), (0, 2): Code(9, "a.py", "second")}
    made.nodes = [Node(-1, 0, 0, 0), Node(0, 0, 1, 0), Node(0, 0, 2, 0)]
    for step in steps:
        {Fault: made.faults, Move: made.moves, Mark: made.marks, Snapshot: made.snapshots}[type(step)].append(step)  # type: ignore
    return made


def fault(time: int, page: int, node: int = FIRST, rise: int = 1, **more: int) -> Fault:
    return Fault(time, 0, page * 4096 + 8, rise, node, 0, int(more.get("weight", 1)), bool(more.get("by_time")), False)


def look(time: int, first: int, *runs: tuple[int, int], kind: int = 2, since: int = 0, **how: object) -> Snapshot:
    """A snapshot of one piece; what else the region has was looked at and is not there. RSS has room for all."""
    regions = [how.get("region", HEAP)]
    end = first + sum(pages for pages, _ in runs)
    gone = [(first - HEAP.first, 0), *runs, (HEAP.first + HEAP.pages - end, 0)]
    piece = Resident(time, HEAP.first, tuple(run for run in gone if run[0]))
    return Snapshot(0, time, kind, since or time, "", 0, regions, [piece], time, 0, (1 << 30, 0, 0, 0))  # type: ignore


def sums(found: History, time: int) -> Counter[tuple[object, str]]:
    names = {FIRST: "first", SECOND: "second"}
    return Counter(
        {(names[who.node] if isinstance(who, Owner) else who, how): n for (who, how), n in found.at(time).items()}
    )


def test_the_last_touch_counts() -> None:
    found = history(trace(fault(10, 1000), fault(20, 1000, SECOND), fault(15, 1001)))
    assert sums(found, 12) == {("first", EXACT): 1}
    assert sums(found, 17) == {("first", EXACT): 2}
    assert sums(found, 20) == {("second", EXACT): 1, ("first", EXACT): 1}


def test_what_a_snapshot_misses_died_when_rss_fell() -> None:
    found = history(trace(fault(10, 1000), fault(11, 1001), fault(35, 1002), look(40, 1000, (1, 1), since=30)))
    assert sums(found, 29) == {("first", EXACT): 2}
    assert sums(found, 30) == {("first", EXACT): 1}
    assert sums(found, 36) == {("first", EXACT): 2}, "born after the fall: it lived until it was looked at"
    assert sums(found, 40) == {("first", EXACT): 1}


def test_what_is_mapped_no_more_is_gone() -> None:
    found = history(trace(fault(10, 5000), look(20, 1000)))
    assert not found.at(20)


def test_an_aligned_window_is_the_faults() -> None:
    found = history(trace(fault(10, 1027, rise=16), look(20, 1024, (16, 3))))
    assert sums(found, 15) == {("first", EXACT): 16}
    assert sums(found, 20) == {("first", EXACT): 16}


def test_pages_between_two_signals_are_the_later_ones() -> None:
    upwards = trace(fault(10, 1100), fault(20, 1108, SECOND, 8, by_time=True), look(30, 1100, (9, 1)))
    assert sums(history(upwards), 30) == {("first", EXACT): 1, ("second", EXACT): 1, ("second", FILL): 7}
    downwards = trace(fault(10, 1108), fault(20, 1100, SECOND, 9, by_time=True), look(30, 1100, (9, 1)))
    assert sums(history(downwards), 30) == {("first", EXACT): 1, ("second", EXACT): 1, ("second", FILL): 7}


def test_who_has_credit_comes_first() -> None:
    found = history(trace(fault(10, 1100, FIRST, 3), fault(20, 1105, SECOND), look(30, 1100, (6, 1))))
    assert sums(found, 30) == {("first", EXACT): 4, ("second", EXACT): 1, ("second", FILL): 1}


def test_credit_counts_by_time_until_a_snapshot() -> None:
    found = history(
        trace(fault(10, 1000, rise=5, by_time=True), look(30, 1000, (1, 1), since=25), fault(40, 1001, rise=3))
    )
    assert sums(found, 24) == {("first", EXACT): 1, ("first", BY_TIME): 4}
    assert sums(found, 25) == {("first", EXACT): 1}
    assert sums(found, 40) == {("first", EXACT): 2, ("first", BY_TIME): 2}


def test_huge_pages() -> None:
    found = history(trace(fault(10, 1537, rise=512), look(20, 1536, (256, 1))))
    assert sums(found, 10) == {("first", EXACT): 512}
    assert sums(found, 20) == {("first", EXACT): 256}


def test_pages_move_with_their_owner() -> None:
    found = history(trace(fault(10, 1000), fault(11, 2000, SECOND), Move(0, 15, 1000, 2000, 1), look(20, 2000, (1, 1))))
    assert sums(found, 14) == {("first", EXACT): 1, ("second", EXACT): 1}
    assert sums(found, 20) == {("first", EXACT): 1}


def test_pages_without_a_stack() -> None:
    for region, state, name in ((3, 3, FILE), (4, 3, SHARED), (0, 1, KERNEL), (5, 1, TRACER)):
        found = history(trace(look(20, 1000, (4, state), region=Region(1000, 2000, region, "x"))))
        assert sums(found, 20) == {(name, EXACT): 4}, name


def test_before_start_and_copied_on_write() -> None:
    found = history(trace(look(5, 1000, (4, 1), kind=1), fault(10, 1001, SECOND, 0), fault(11, 1500, rise=0)))
    assert sums(found, 9) == {(BEFORE, EXACT): 4}
    assert sums(found, 12) == {(BEFORE, EXACT): 3, ("second", EXACT): 1}


def test_an_incomplete_snapshot_ends_no_credit() -> None:
    cut = look(30, 1000, (1, 1))
    cut.end = None
    found = history(trace(fault(10, 1000, rise=5, by_time=True), cut))
    assert sums(found, 50) == {("first", EXACT): 1, ("first", BY_TIME): 4}


def test_what_was_touched_before_the_first_look() -> None:
    """A child that copied a page before it was looked at."""
    found = history(trace(fault(3, 1001, SECOND, 0), look(5, 1000, (4, 1), kind=1)))
    assert sums(found, 1) == {(BEFORE, EXACT): 3}, "from the process's start on"
    assert sums(found, 5) == {(BEFORE, EXACT): 3, ("second", EXACT): 1}


def test_nothing_is_copied_of_a_file_without_a_rise() -> None:
    file = look(5, 1000, (3, 3), (1, 1), kind=1, region=Region(1000, 2000, 3, "f"))
    found = history(trace(fault(4, 1002, rise=0), file, fault(10, 1001, rise=0), fault(11, 1003, rise=0)))
    assert sums(found, 20) == {(BEFORE, FILE): 3, ("first", EXACT): 1}


def test_what_is_touched_again_between_two_signals() -> None:
    """Four faults a signal, through memory that looks like another's."""
    old = [fault(10 + n, 1000 + n) for n in range(16)]
    new = [fault(50, 1001, SECOND, 4, weight=4), fault(60, 1005, SECOND, 4, weight=4)]
    found = history(trace(*old, *new))
    assert sums(found, 59) == {("first", EXACT): 15, ("second", EXACT): 1, ("second", BY_TIME): 3}
    assert sums(found, 60) == {("first", EXACT): 11, ("second", EXACT): 2, ("second", FILL): 3, ("second", BY_TIME): 3}
    elsewhere = history(trace(*old, fault(50, 1001, SECOND, 4, weight=4), fault(60, 1006, SECOND, 4, weight=4)))
    assert sums(elsewhere, 60) == {("first", EXACT): 14, ("second", EXACT): 2, ("second", BY_TIME): 6}


def test_a_quiet_page_is_found() -> None:
    """A fault without a rise: its page was in another's."""
    found = history(
        trace(fault(10, 1001, SECOND, 0), fault(12, 1900, FIRST, 2, by_time=True), look(20, 1000, (1, 0), (1, 1)))
    )
    assert sums(found, 15) == {("second", EXACT): 1, ("first", EXACT): 1}, "the credit was that page"
    gone = history(trace(fault(10, 1001, SECOND, 0), look(20, 1100, (1, 1)), look(30, 1001, (1, 1))))
    assert sums(gone, 30) == {(KERNEL, EXACT): 1}, "looked at and not there: it is settled"


def test_a_gap_is_shared_by_credit() -> None:
    steps = [fault(10, 1100, FIRST, 4, by_time=True), fault(20, 1110, SECOND, 3, by_time=True), look(30, 1100, (11, 1))]
    found = history(trace(*steps))
    assert [found.pages[page].owner.node for page in range(1100, 1111)] == [1] * 4 + [2] * 7  # type: ignore[union-attr]


def test_pages_without_a_neighbour_are_the_youngest_credits() -> None:
    steps = [fault(10, 5000, FIRST, 3, by_time=True), fault(11, 1000, SECOND, 4, by_time=True), look(20, 1500, (4, 1))]
    found = history(trace(*steps))
    assert sums(found, 20) == {("first", BY_TIME): 1, ("second", BY_TIME): 3}
    assert sums(found, 19) == {("first", EXACT): 1, ("second", EXACT): 1, ("first", BY_TIME): 2, ("second", BY_TIME): 3}


def test_what_is_filled_without_credit_is_others() -> None:
    """RSS rose by 4 + 1: the three pages beside the second came with the first's fault."""
    steps = [fault(10, 1900, FIRST, 4, by_time=True), fault(11, 1100, SECOND), look(20, 1100, (4, 1), (796, 0), (1, 1))]
    found = history(trace(*steps))
    assert sums(found, 15) == {("first", EXACT): 1, ("second", EXACT): 1, ("second", FILL): 3}


def test_credit_that_rss_has_no_room_for() -> None:
    found = history(trace(fault(10, 1000, FIRST, 5, by_time=True), Mark(0, 15, 3, 4), fault(20, 1001, SECOND)))
    assert sums(found, 14) == {("first", EXACT): 1, ("first", BY_TIME): 4}
    assert sums(found, 15) == {("first", EXACT): 1, ("first", BY_TIME): 3}


def test_credit_that_is_found_was_not_gone() -> None:
    """Half of what the first had goes, RSS is read, then a snapshot says which half."""
    touches = [fault(10 + n, 1000 + n, FIRST) for n in range(4)] + [fault(20, 1004, SECOND, 5, by_time=True)]
    found = history(trace(*touches, Mark(0, 25, 3, 5), look(30, 1004, (5, 1), since=24)))
    assert sums(found, 23) == {("first", EXACT): 4, ("second", EXACT): 1, ("second", FILL): 4}
    assert sums(found, 30) == {("second", EXACT): 1, ("second", FILL): 4}


def test_a_snapshot_that_is_cut_off_gives_credit_to_what_it_found() -> None:
    cut = look(20, 1500, (4, 1))
    cut.error = 125
    cut.kib = (5 * 4, 0, 0, 0)
    found = history(trace(fault(10, 5000, FIRST, 5, by_time=True), cut, look(30, 1500, (4, 1))))
    assert sums(found, 20) == {("first", EXACT): 1, ("first", BY_TIME): 4}
    assert sums(found, 30) == {("first", BY_TIME): 4}
