"""Create and join many threads, again and again: thread_churn.py THREADS TIMES

Says how descriptors, RSS and address space changed between the second round and the last.
"""

import json
import mmap
import os
import sys
import threading

PAGE = mmap.PAGESIZE
threads, times = map(int, sys.argv[1:])


def touch(memory):
    memory[0] = memory[PAGE] = 1  # touched: touch


def one_round():
    memories = [mmap.mmap(-1, 2 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(threads)]
    workers = [threading.Thread(target=touch, args=(memory,)) for memory in memories]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def facts():
    with open("/proc/self/statm") as file:
        size, resident = map(int, file.read().split()[:2])
    return [len(os.listdir("/proc/self/fd")), resident, size]


for _ in range(2):
    one_round()
before = facts()
for _ in range(times - 2):
    one_round()
after = facts()
names = ("descriptors", "resident", "size")
print(json.dumps({"pages": 2 * threads * times} | {n: b - a for n, a, b in zip(names, before, after, strict=True)}))
