"""More threads at once than are recorded: many_threads.py COUNT. Each calls a function and touches a page."""

import mmap
import sys
import threading

count = int(sys.argv[1])
ready, go = threading.Semaphore(0), threading.Event()


def work():
    memory = mmap.mmap(-1, 2 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[0] = 1
    return memory


def run():
    ready.release()
    go.wait()
    work()


threading.stack_size(64 << 10)
threads = [threading.Thread(target=run) for _ in range(count)]
for thread in threads:
    thread.start()
for _ in threads:
    ready.acquire()
go.set()
for thread in threads:
    thread.join()
print(count)
