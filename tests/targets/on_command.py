"""Touch pages at each line of input, in so many threads: on_command.py THREADS PAGES

Says "ready", then "done" for each line of input, and at the end of input the seconds that each round took.
"""

import json
import mmap
import sys
import threading
import time

PAGE = mmap.PAGESIZE
threads, pages = map(int, sys.argv[1:])
seconds = []
kept = []


def touch():
    memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    kept.append(memory)
    for offset in range(0, pages * PAGE, PAGE):
        memory[offset] = 1  # touched: touch


def touch_in_threads():
    workers = [threading.Thread(target=touch) for _ in range(threads)]
    start = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds.append(time.monotonic() - start)


print("ready", flush=True)
for _line in sys.stdin:
    touch_in_threads()
    print("done", flush=True)
print(json.dumps({"pages": threads * pages * len(seconds), "seconds": seconds}))
