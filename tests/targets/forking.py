"""Fork, while pages are touched before, in the child, and after: forking.py once|often|subprocess|threads|midway"""

import json
import mmap
import os
import subprocess
import sys
import threading
import warnings

PAGE = mmap.PAGESIZE
SIZE = 16 << 20


def fresh(size):
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def before(memory):
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: before


def copied(memory):
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 2  # the child's copies of the parent's pages


def in_child(memory):
    for offset in range(0, len(memory), PAGE):
        memory[offset] = 3


def after(memory):
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 4  # touched: after


def once():
    memory = fresh(SIZE)
    before(memory)
    child = os.fork()
    if child == 0:
        copied(memory)
        in_child(fresh(SIZE))
        print("child:", sum(memory[offset] for offset in range(0, SIZE, PAGE)), flush=True)
        sys.exit(9)
    print("child ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    after(fresh(SIZE))


def often():
    before(fresh(SIZE))
    statuses = []
    for number in range(100):
        child = os.fork()
        if child == 0:
            in_child(fresh(SIZE // 64))
            os._exit(number)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("all children ended right:", statuses == list(range(100)))
    after(fresh(SIZE))


def subprocesses():
    before(fresh(SIZE))
    for number in range(5):
        command = [sys.executable, "-c", f"print({number} ** 2); raise SystemExit({number})"]
        done = subprocess.run(command, capture_output=True, text=True)
        print("subprocess:", done.returncode, done.stdout, done.stderr)
    print(subprocess.run("echo from a shell; kill -9 $$", shell=True, capture_output=True))
    after(fresh(SIZE))


def threads():
    """Fork while other threads touch and release memory."""
    warnings.simplefilter("ignore", DeprecationWarning)
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            with fresh(64 * PAGE) as memory:
                for offset in range(0, 64 * PAGE, PAGE):
                    memory[offset] = 1

    workers = [threading.Thread(target=churn) for _ in range(2)]
    for worker in workers:
        worker.start()
    before(fresh(SIZE))
    statuses = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            in_child(fresh(SIZE // 64))
            os._exit(number)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for worker in workers:
        worker.join()
    print("all children ended right:", statuses == list(range(20)))
    after(fresh(SIZE))


def touch_and_fork(memory):
    """Fork in the middle; parent and child go on with the second half."""
    half = SIZE // 2
    child = 1
    for offset in range(0, SIZE, PAGE):
        if offset == half:
            child = os.fork()
        memory[offset] = 5  # touched: touch_and_fork
    if child == 0:
        os._exit(memory[0] + memory[half] + memory[SIZE - PAGE])
    print("child ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def midway():
    """Fork in the middle of a loop that touches, from the main thread and from another."""
    before(fresh(SIZE))
    touch_and_fork(fresh(SIZE))
    thread = threading.Thread(target=touch_and_fork, args=(fresh(SIZE),))
    thread.start()
    thread.join()
    after(fresh(SIZE))


ways = {"once": once, "often": often, "subprocess": subprocesses, "threads": threads, "midway": midway}
ways[sys.argv[1]]()
print(json.dumps({"pages": SIZE // PAGE}))
