"""Threads of different kinds, one after another so that the order of each is known, and some at once."""

import _thread
import threading
from concurrent.futures import ThreadPoolExecutor


def work(n):
    return sum(step(i) for i in range(n))


def step(i):
    return i * i


class Worker(threading.Thread):
    def run(self):
        self.result = work(5)


def raw(done):
    work(3)
    done.release()


def failing():
    try:
        raise ValueError("in a thread")
    except ValueError:
        work(1)


local = threading.local()


def own(n):
    local.value = n
    return local.value


worker = Worker(name="worker")
worker.start()
worker.join()
done = _thread.allocate_lock()
done.acquire()
_thread.start_new_thread(raw, (done,))
done.acquire()
thread = threading.Thread(target=failing)
thread.start()
thread.join()
with ThreadPoolExecutor(1) as pool:
    print(worker.result, list(pool.map(own, range(4))))
together = [threading.Thread(target=work, args=(n,)) for n in (2, 3, 4)]
for thread in together:
    thread.start()
for thread in together:
    thread.join()
