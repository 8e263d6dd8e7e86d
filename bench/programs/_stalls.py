"""Holds 2 GiB and times calls that map, touch and unmap memory, while residency snapshots are asked for in a row.

They are asked for by another process, so that nobody waits for the interpreter's lock. Prints the longest of these
calls, in milliseconds, and how many snapshots there were.
"""

import mmap
import os
import subprocess
import sys
import time

from _common import rounds

HELD = 2 << 30
PIECE = 256 << 10
ASKING = """
import sys, time
from pymemtrace.process import request
pid, wanted = map(int, sys.argv[1:])
address = request.address_of(pid)
taken = 0
for number in range(wanted):
    if request.snapshot(address, pid, f"stalls {number}") == 0:
        taken += 1
    else:
        time.sleep(0.05)  # none can be had: about as long as one takes
print(taken)
"""


def call() -> float:
    """How long the longest of the three calls on one piece took, seconds."""
    a = time.perf_counter()
    memory = mmap.mmap(-1, PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    b = time.perf_counter()
    memory[:: mmap.PAGESIZE] = bytes(PIECE // mmap.PAGESIZE)
    c = time.perf_counter()
    memory.close()
    return max(b - a, c - b, time.perf_counter() - c)


def main() -> None:
    held = bytearray(b"x") * (HELD if rounds(1) else HELD >> 6)
    command = [sys.executable, "-I", "-c", ASKING, str(os.getpid()), str(rounds(20))]  # -I: it is not traced itself
    asking = subprocess.Popen(command, stdout=subprocess.PIPE)
    longest = 0.0
    while asking.poll() is None:
        longest = max(longest, call())
    assert held[-1] == ord("x")
    assert asking.stdout is not None
    print(f"{longest * 1e3:.3f} {int(asking.stdout.read())}")


if __name__ == "__main__":
    main()
