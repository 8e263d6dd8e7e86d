"""Half of an array is given back in pieces, too small each to be seen, while as much and more is touched elsewhere: RSS
only ever rises.
"""

import mmap
import time

from _truth import MIB, PAGE, address_of, fresh, held, moment, show, touch

PIECE = 32 * PAGE
PAUSE_S = 0.001  # all in all 0.1 s: some of the recorder's looks at RSS


def first():
    memory = fresh(32 * MIB)
    touch(memory, 0, len(memory))
    held("first", address_of(memory), len(memory))
    return memory


def second(given):
    memory = fresh(24 * MIB)
    held("second", address_of(memory), len(memory))
    for number in range(len(given) // PIECE // 2):
        given.madvise(mmap.MADV_DONTNEED, number * PIECE, PIECE)
        touch(memory, number * PIECE, (number + 1) * PIECE + PIECE // 4)
        time.sleep(PAUSE_S)
    return memory


def third():
    """The highest RSS, when the last pieces have been seen to be gone."""
    time.sleep(0.5)
    memory = fresh(MIB)
    touch(memory, 0, len(memory))
    held("third", address_of(memory), len(memory))
    return memory


kept = first()
more = second(kept), third()
moment()
show()
