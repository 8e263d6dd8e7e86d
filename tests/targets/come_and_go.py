"""Threads by the hundred that come and go. Prints how many timers the process had, at most and at the end."""

import _thread
import json
import threading
import time

kept = []


def timers():
    with open("/proc/self/timers") as file:
        return file.read().count("signal:")


def work():
    kept.append(bytearray(200_000))


def work_unknown(done):
    """Of a thread that the threading module knows nothing of."""
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        work()
    done.release()


most = 0
for _ in range(20):
    threads = [threading.Thread(target=work) for _ in range(40)]
    for thread in threads:
        thread.start()
    most = max(most, timers())
    for thread in threads:
        thread.join()
for _ in range(8):
    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(work_unknown, (done,))
    while not done.acquire(False):  # ticks of this thread find the other
        pass
end = time.thread_time() + 0.4
while time.thread_time() < end:  # ended threads are noticed by the ticks of living ones
    pass
print(json.dumps({"most": most, "end": timers()}))
