"""Functions that grow for a while, by amounts that they count: growing.py one_thread|two_threads|short|short_threads

Each runs for so many seconds of its thread's CPU time, not of the clock: the machine may be busy with other things.
"""

import contextlib
import json
import mmap
import os
import resource
import sys
import threading
import time

PAGE = mmap.PAGESIZE
kept = []


def until(seconds):
    """Yields for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        yield


def append_to_list():
    items = []
    kept.append(items)
    for _ in until(0.25):
        items.append(bytes(3 * PAGE))
    return len(items) * 3


def grow_bytearray():
    data = bytearray()
    kept.append(data)
    for _ in until(0.3):
        data.extend(bytes(16 * PAGE))
    return len(data) // PAGE


def touch_slowly():
    return touch(0.25, 1500)


def touch_fast():
    return touch(0.25, 0)


def touch(seconds, idle):
    count = 0
    for _ in until(seconds):
        memory = mmap.mmap(-1, 16 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        kept.append(memory)
        for offset in range(0, 16 * PAGE, PAGE):
            memory[offset] = 1
        count += 16
        for _ in range(idle):
            pass
    return count


def one_thread():
    functions = (append_to_list, grow_bytearray, touch_slowly, touch_fast)
    return {"functions": {function.__name__: function() for function in functions}}


def two_threads():
    shares = []

    def work(function, times):
        count = sum(function() for _ in range(times))
        shares.append({"name": function.__name__, "tid": threading.get_native_id(), "pages": count})

    threads = [threading.Thread(target=work, args=(function, 2)) for function in (touch_slowly, touch_fast)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"functions": {share["name"]: share["pages"] for share in shares}, "shares": shares}


def undisturbed():
    """Ahead of all that runs on this CPU, where that is allowed."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def short_calls(numbers):
    """Functions of 50 ms, each called once: what they touched, and how often the kernel took the CPU from them."""
    for number in numbers:
        name = f"short_{number}"
        exec(f"def {name}():\n    return touch(0.05, {number % 4 * 400})", globals())
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        pages = globals()[name]()
        yield {
            "name": name,
            "pages": pages,
            "preempted": resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - before,
        }


def short():
    undisturbed()
    return {"calls": list(short_calls(range(40)))}


def short_threads():
    undisturbed()
    calls = []
    threads = [
        threading.Thread(target=lambda first=first: calls.extend(short_calls(range(first, 40, 2)))) for first in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"calls": calls}


print(json.dumps(globals()[sys.argv[1]]()))
