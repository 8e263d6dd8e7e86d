"""Touch fresh pages at the bottom of a stack of Python frames and print the nanoseconds of one touch. Run by ladder.py.

    python touch_deep.py DEPTH ROUNDS

The mapping is given back between rounds, so every round faults again; the best round counts. One loop in C touches the
pages, so a touch is a fault and nothing else.
"""

import mmap
import sys
import time

PAGES = 4096


def descend(depth: int, rounds: int) -> float:
    return descend(depth - 1, rounds) if depth > 1 else touch(rounds)


def touch(rounds: int) -> float:
    """Nanoseconds a page, the best of the rounds."""
    ones = b"\1" * PAGES
    with mmap.mmap(-1, PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        best = float("inf")
        for _ in range(rounds):
            start = time.perf_counter_ns()
            memory[:: mmap.PAGESIZE] = ones
            best = min(best, (time.perf_counter_ns() - start) / PAGES)
            memory.madvise(mmap.MADV_DONTNEED)
        return best


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    print(f"{descend(int(sys.argv[1]), int(sys.argv[2])):.0f}")
