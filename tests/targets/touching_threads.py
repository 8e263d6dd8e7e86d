"""Threads that touch pages: touching_threads.py named|pool

named: three threads with names, each with its own number of pages. pool: eight jobs on a pool of four threads.
"""

import concurrent.futures
import json
import mmap
import sys
import threading

PAGE = mmap.PAGESIZE
kept = []


def touch(pages):
    memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.append(memory)
    for offset in range(0, pages * PAGE, PAGE):
        memory[offset] = 1  # touched: touch
    return threading.get_native_id()


def named():
    shares = []

    def work(pages):
        shares.append({"name": threading.current_thread().name, "tid": touch(pages), "pages": pages})

    threads = [threading.Thread(target=work, args=(2000 * n,), name=f"toucher-{n}") for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"pages": 12000, "shares": shares}


def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        threads = set(executor.map(touch, [1000] * 8))
    return {"pages": 8000, "threads": sorted(threads)}


print(json.dumps(globals()[sys.argv[1]]()))
