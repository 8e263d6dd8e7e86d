"""A program that knows which of its pages are there: resident.py WAY

It prints a JSON object in its last line. kinds: mappings of each kind, looked at in its own pagemap just before the
snapshot "kinds" is taken. falls: 64 MiB that come and go. The others say what becomes of the process: hidden
(not dumpable from now on), fork, exec, kill, closerange, descriptors (which it has).
"""

import array
import ctypes
import json
import mmap
import os
import signal
import sys
import tempfile
import time

import pymemtrace

PAGE = mmap.PAGESIZE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
PRESENT, FILE = 1 << 63, 1 << 61


def address(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def touch(memory, first, pages):
    for page in range(first, first + pages):
        memory[page * PAGE] = 1


def own_pages(first, count):
    """What this process's pagemap says: 0 not there, 1 anonymous, 3 of a file or shared."""
    numbers = array.array("Q")
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(first * 8)
        numbers.frombytes(file.read(count * 8))
    return [3 if number & FILE else 1 if number & PRESENT else 0 for number in numbers]


def small(memory):
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def kinds():
    private = small(mmap.mmap(-1, 400 * PAGE, PRIVATE))
    touch(private, 0, 100)
    touch(private, 150, 50)
    private.madvise(mmap.MADV_DONTNEED, 20 * PAGE, 10 * PAGE)
    zeros = small(mmap.mmap(-1, 60 * PAGE, PRIVATE))
    sum(zeros[page * PAGE] for page in range(30))  # only read
    shared = mmap.mmap(-1, 40 * PAGE)
    touch(shared, 5, 20)
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115
    file.write(bytes(64 * PAGE))
    file.flush()
    copied = mmap.mmap(file.fileno(), 64 * PAGE, mmap.MAP_PRIVATE)
    sum(copied[page * PAGE] for page in range(64))
    touch(copied, 10, 4)
    mappings = {"private": private, "zeros": zeros, "shared": shared, "file": copied}
    found = {}
    for name, memory in mappings.items():
        first = address(memory) // PAGE
        pages = own_pages(first, len(memory) // PAGE)
        found[name] = {"first": first, "pages": [0] * len(pages) if name == "zeros" else pages}
    return {"taken": pymemtrace.snapshot("kinds"), "mappings": found, "file": file.name}


def falls():
    begun = []
    for _ in range(3):
        memory = mmap.mmap(-1, 64 << 20, PRIVATE)
        touch(memory, 0, (64 << 20) // PAGE)
        time.sleep(0.05)
        begun.append(time.monotonic_ns())
        memory.close()
        time.sleep(0.3)
    return {"fell": begun}


def hidden():
    ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE
    return {"taken": pymemtrace.snapshot("hidden")}


def fork():
    pid = os.fork()
    memory = mmap.mmap(-1, 1 << 20, PRIVATE)
    touch(memory, 0, 256)
    taken = pymemtrace.snapshot("child" if pid == 0 else "parent")
    if pid == 0:
        sys.exit(0 if taken else 1)
    status = os.waitpid(pid, 0)[1]
    return {"child": pid, "status": status, "taken": taken}


def execute():
    print(json.dumps({}), flush=True)
    os.execv(sys.executable, [sys.executable, "-c", "import pymemtrace; pymemtrace.snapshot('after'); print('{}')"])


def kill():
    memory = mmap.mmap(-1, 64 << 20, PRIVATE)
    touch(memory, 0, (64 << 20) // PAGE)
    print(json.dumps({}), flush=True)
    memory.close()
    os.kill(os.getpid(), signal.SIGKILL)


def closerange():
    os.closerange(3, 1 << 20)
    return {"taken": pymemtrace.snapshot("closed")}


def descriptors():
    names = []
    for fd in range(3, 200):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            pass
    return {"names": names}


WAYS = {"exec": execute}
print(json.dumps(WAYS.get(sys.argv[1], globals().get(sys.argv[1]))()), flush=True)
