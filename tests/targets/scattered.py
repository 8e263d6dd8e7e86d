"""Touch pages in no order, so that their faults compress badly: scattered.py PAGES"""

import json
import mmap
import random
import sys

PAGE = mmap.PAGESIZE
pages = int(sys.argv[1])
memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
order = list(range(0, pages * PAGE, PAGE))
random.Random(1).shuffle(order)


def touch():
    for offset in order:
        memory[offset] = 1  # touched: touch


touch()
print(json.dumps({"pages": pages}))
