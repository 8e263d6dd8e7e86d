"""Sleep in system calls, between turns of work: sleeping.py python|libc

python: through Python's functions, which hide interruptions. libc: directly, where each would show as EINTR.
"""

import ctypes
import json
import os
import select
import socket
import sys
import threading
import time

TURNS = 7
SLEEP = 0.02
libc = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class PollFd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


def work():
    """Burns CPU time and memory, so that ticks are due."""
    end = time.thread_time() + 0.012
    kept = []
    while time.thread_time() < end:
        kept.append(bytearray(100_000))


def nanosleep():
    length = Timespec(0, int(SLEEP * 1e9))
    left = Timespec()
    return libc.nanosleep(ctypes.byref(length), ctypes.byref(left)), ctypes.get_errno()


def poll():
    nothing = PollFd(reader.fileno(), 1, 0)
    return libc.poll(ctypes.byref(nothing), 1, int(SLEEP * 1000)), ctypes.get_errno()


def read():
    """Of a pipe that another thread writes to in a while."""
    end, beginning = os.pipe()
    threading.Timer(SLEEP, os.write, (beginning, b"x")).start()
    buffer = ctypes.create_string_buffer(8)
    answer = libc.read(end, buffer, 8), ctypes.get_errno()
    os.close(end)
    os.close(beginning)
    return answer


def futex():
    with lock:
        return lock_again.acquire(timeout=SLEEP), 0


def python_sleep():
    time.sleep(SLEEP)
    return 0, 0


def python_select():
    return len(select.select([reader], [], [], SLEEP)[0]), 0


ways = {"libc": (nanosleep, poll, read), "python": (python_sleep, python_select, futex)}[sys.argv[1]]
reader, writer = socket.socketpair()
lock, lock_again = threading.Lock(), threading.Lock()
lock_again.acquire()
found = {}


def turns():
    for way in ways:
        for _ in range(TURNS):
            work()
            ctypes.set_errno(0)
            begin = time.monotonic()
            answer = way()
            early = time.monotonic() - begin < 0.9 * SLEEP and way is not read
            found.setdefault(way.__name__, set()).add((*answer, early))


threads = [threading.Thread(target=turns) for _ in range(2)]
for thread in threads:
    thread.start()
turns()
for thread in threads:
    thread.join()
print(json.dumps({name: sorted(answers) for name, answers in found.items()}))
