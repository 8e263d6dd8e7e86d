"""Memory released in small pieces, or written after a fork: released_at_once.py pieces|copies PIECE PIECES THREADS

`pieces` maps, touches and releases; with `copies` a fork child writes what was touched again, which adds no pages.
"""

import json
import mmap
import os
import sys
import threading

PAGE = mmap.PAGESIZE
way = sys.argv[1]
piece, pieces, threads = map(int, sys.argv[2:])


def touch(memory, count):
    for offset in range(0, count * PAGE, PAGE):
        memory[offset] = 1


def fresh(count):
    memory = mmap.mmap(-1, count * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def churn():
    for _ in range(pieces):
        with fresh(piece) as memory:
            touch(memory, piece)


def copies():
    memory = fresh(piece * pieces)
    touch(memory, piece * pieces)
    if os.fork() == 0:
        touch(memory, piece * pieces)
        os._exit(0)
    os.wait()


if way == "copies":
    copies()
else:
    workers = [threading.Thread(target=churn) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
print(json.dumps({"pages": piece * pieces * threads}))
