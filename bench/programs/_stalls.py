"""Holds 2 GiB and times calls that map, touch and unmap memory, while residency snapshots are asked for in a row.

Prints the longest of these calls, in milliseconds, as snapshots are taken, and how many snapshots there were.
"""

import mmap
import threading
import time

from _common import rounds

import pymemtrace
from pymemtrace.errors import PymemtraceError

HELD = 2 << 30
PIECE = 256 << 10


def call() -> float:
    """How long the longest of the three calls on one piece took, seconds."""
    a = time.perf_counter()
    memory = mmap.mmap(-1, PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    b = time.perf_counter()
    memory[:: mmap.PAGESIZE] = bytes(PIECE // mmap.PAGESIZE)
    c = time.perf_counter()
    memory.close()
    return max(b - a, c - b, time.perf_counter() - c)


def ask(count: int, taken: list[int]) -> None:
    for number in range(count):
        try:
            pymemtrace.snapshot(f"stalls {number}")
            taken.append(number)
        except PymemtraceError:
            time.sleep(0.05)  # none can be had: about as long as one takes


def main() -> None:
    held = bytearray(b"x") * (HELD if rounds(1) else HELD >> 6)
    taken: list[int] = []
    asking = threading.Thread(target=ask, args=(rounds(20), taken))
    asking.start()
    longest = 0.0
    while asking.is_alive():
        longest = max(longest, call())
    assert held[-1] == ord("x")
    print(f"{longest * 1e3:.3f} {len(taken)}")


if __name__ == "__main__":
    main()
