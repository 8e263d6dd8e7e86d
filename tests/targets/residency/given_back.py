"""Half of an array is given back with madvise, and with `again` a quarter of it touched anew.

given_back.py half|again|every_other [seconds that the peak lasts]
"""

import mmap
import sys
import time

from _truth import MIB, PAGE, address_of, forget, fresh, held, moment, show, touch

SIZE = 64 * MIB
way = sys.argv[1]
lasts = float(sys.argv[2]) if sys.argv[2:] else 0


def grow():
    memory = fresh(SIZE)
    touch(memory, 0, SIZE)
    held("grow", address_of(memory), SIZE)
    moment()
    time.sleep(lasts)
    return memory


def give_back(memory):
    memory.madvise(mmap.MADV_DONTNEED, 0, SIZE // 2)


def give_back_every_other(memory):
    for offset in range(0, SIZE, 2 * PAGE):
        memory.madvise(mmap.MADV_DONTNEED, offset, PAGE)


def again(memory):
    """The first quarter has another owner now."""
    touch(memory, 0, SIZE // 4)
    start = address_of(memory)
    forget("grow")
    held("again", start, SIZE // 4)
    held("grow", start + SIZE // 4, SIZE - SIZE // 4)


array = grow()
if way == "every_other":
    give_back_every_other(array)
else:
    give_back(array)
if way == "again":
    again(array)
show()
