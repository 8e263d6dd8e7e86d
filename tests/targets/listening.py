"""A program that can be attached to: listening.py WAIT [nothing]

It touches pages in a thread of its own all the time, while its main thread waits in the way named: sleep, join, read,
poll, spin, native (a call that never comes back to Python), start (Pythons, one after the other); or after a fork, an
exec, or in a trace of its own.
`nothing`: it does not call listen().
"""

import mmap
import os
import select
import subprocess
import sys
import threading
import time

PAGE = mmap.PAGESIZE


def inside(pages):
    with mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for offset in range(0, pages * PAGE, PAGE):
            memory[offset] = 1


def work():
    while True:
        inside(100)
        time.sleep(0.002)


def wait(way):
    if way == "sleep":
        time.sleep(600)
    if way == "join":
        worker.join()
    if way == "read":
        os.read(os.pipe()[0], 1)
    if way == "poll":
        select.poll().poll()
    if way == "native":
        sum(range(1 << 50))
    if way == "fork":
        child = os.fork()
        if child:
            print("child", child, flush=True)
        time.sleep(600)
    if way == "exec":
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
    if way == "own":
        with pymemtrace.trace("own.pmt"):
            time.sleep(600)
    while way == "start":
        subprocess.run([sys.executable, "-c", "b = bytearray(1 << 23)"])
        time.sleep(0.01)
    while way == "spin":
        sum(range(1000))


if "nothing" not in sys.argv:
    import pymemtrace

    pymemtrace.listen()
worker = threading.Thread(target=work, name="worker", daemon=True)
worker.start()
print("ready", os.getpid(), flush=True)
wait(sys.argv[1])
