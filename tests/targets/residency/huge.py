"""Memory in huge pages, where the machine gives them, a part of which goes again: huge.py always|madvise|never"""

import ctypes
import mmap
import sys

from _truth import MIB, PAGE, address_of, fresh, held, moment, show

PR_SET_THP_DISABLE = 41
SIZE = 64 * MIB
HUGE = 2 * MIB
way = sys.argv[1]


def grow():
    memory = fresh(SIZE + HUGE, huge=way == "always")
    start = -address_of(memory) % HUGE
    if way == "madvise":
        memory.madvise(mmap.MADV_HUGEPAGE)
    for offset in range(start, start + SIZE, PAGE):
        memory[offset] = 1
    held("grow", address_of(memory) + start, SIZE)
    return memory, start


def give_back(memory, start):
    """Whole huge pages, and half of another."""
    memory.madvise(mmap.MADV_DONTNEED, start, SIZE // 2)
    memory.madvise(mmap.MADV_DONTNEED, start + SIZE // 2, HUGE // 2)


def anon_huge():
    """Bytes of this process in huge pages."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("AnonHugePages"))


if way == "never":
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
array, start = grow()
huge = anon_huge()
moment()
give_back(array, start)
show(huge=huge)
