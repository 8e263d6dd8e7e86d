"""Memory that comes and goes in known steps: held.py [--child] [--slowly]

keep: 64 MiB, of which half is given back before the end. pass_by: 48 MiB, gone after the snapshot "both". work: 16 MiB
in a thread of its own.
--child: a child writes 8 MiB of what keep touched, and touches 4 MiB itself.
--slowly: keep takes 0.3 s instead of 0.03, longer than ticks of the timer engine are apart on a loaded machine.
"""

import mmap
import os
import sys
import threading
import time

import pymemtrace

MIB = 1 << 20
WRITES = 400 if "--slowly" in sys.argv else 1  # of a page
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def fresh(size):
    memory = mmap.mmap(-1, size, PRIVATE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def touch(memory, size):
    for at in range(0, size, mmap.PAGESIZE):
        for _ in range(WRITES):
            memory[at] = 1


def keep():
    memory = fresh(64 * MIB)
    touch(memory, 64 * MIB)
    return memory


def work(found):
    memory = fresh(16 * MIB)
    touch(memory, 16 * MIB)
    found.append(memory)


def pass_by():
    memory = fresh(48 * MIB)
    touch(memory, 48 * MIB)
    pymemtrace.snapshot("both")


def write_again(memory):
    touch(memory, 8 * MIB)


def child(memory):
    write_again(memory)
    own = fresh(4 * MIB)
    touch(own, 4 * MIB)
    return own


pymemtrace.snapshot("first")  # brings in what snapshot() needs
kept = keep()
found = []
thread = threading.Thread(target=work, args=(found,), name="worker")
thread.start()
thread.join()
pass_by()
time.sleep(0.2)
if "--child" in sys.argv:
    pid = os.fork()
    if pid == 0:
        own = child(kept)
        sys.exit()
    os.waitpid(pid, 0)
kept.madvise(mmap.MADV_DONTNEED, 0, 32 * MIB)
time.sleep(0.1)
