"""A program that moves memory and gives it back: moving.py WAY

It prints a JSON object in its last line, addresses and sizes in pages, times of the monotonic clock in ns.
"""

import ctypes
import json
import mmap
import os
import signal
import sys
import threading
import time

import pymemtrace

PAGE = mmap.PAGESIZE
MIB = (1 << 20) // PAGE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
libc = ctypes.CDLL(None)
for name in "malloc", "realloc", "mmap":
    getattr(libc, name).restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def area(pages):
    memory = mmap.mmap(-1, pages * PAGE, PRIVATE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def first(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory)) // PAGE


def touch(memory, start, pages):
    for page in range(start, start + pages):
        memory[page * PAGE] = 1


def move(pages):
    """An area that cannot grow where it is, since another lies behind it. Where it was and is, and how much moved."""
    behind = area(1)
    memory = area(pages)
    touch(memory, 0, pages)
    old = first(memory)
    memory.resize(2 * pages * PAGE)
    return memory, behind, [old, first(memory), pages]


def resize():
    memory, behind, moved = move(300)
    touch(memory, 400, 50)
    pymemtrace.snapshot("moved")
    return {"moved": [moved], "taken": [moved[1], 600]}


def inside_libc():
    """realloc moves large blocks by mremap."""
    size = 4 << 20
    block = libc.malloc(size)
    moved, barriers = [], []
    for _ in range(3):
        ctypes.memset(block, 1, size)
        barriers.append(area(MIB))
        larger = libc.realloc(block, 2 * size)
        if larger != block:
            moved.append([block // PAGE, larger // PAGE, size // PAGE + 1])
        block, size = larger, 2 * size
    return {"moved": moved}


def nothing():
    touch(area(500), 0, 500)
    return {}


def threads():
    """Some run before others; each moves areas of its own."""
    found = []

    def work():
        for number in range(20):
            memory, behind, moved = move(3 + number)
            if moved[0] != moved[1]:  # another thread may have got what is behind
                found.append([threading.get_native_id(), *moved])
            time.sleep(0.001)

    for _ in range(2):
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return {"moved": found}


def fork():
    reader, writer = os.pipe()
    pid = os.fork()
    *_, moved = move(70 if pid else 90)
    if pid == 0:
        os.write(writer, json.dumps(moved).encode())
        sys.exit(0)
    status = os.waitpid(pid, 0)[1]
    return {"status": status, "child": pid, "moved": [moved], "child_moved": [json.loads(os.read(reader, 1000))]}


def execute():
    *_, moved = move(50)
    print(json.dumps({"moved": [moved]}), flush=True)
    os.execv(sys.executable, [sys.executable, __file__, "resize"])


def own_sigtrap():
    seen = []
    signal.signal(signal.SIGTRAP, lambda number, frame: seen.append(number))
    *_, one = move(60)
    signal.raise_signal(signal.SIGTRAP)
    *_, two = move(61)
    return {"moved": [one, two], "seen": seen}


def blocked():
    """Signals that wait say nothing of the call any more."""
    *_, before = move(40)
    libc_signals = ctypes.create_string_buffer(b"\xff" * 128)
    old = ctypes.create_string_buffer(128)
    libc.pthread_sigmask(0, libc_signals, old)  # SIG_BLOCK
    *_, lost = move(41)
    libc.pthread_sigmask(2, old, None)  # SIG_SETMASK
    *_, after = move(42)
    return {"moved": [before, after]}


def many():
    """Far more than may be followed."""
    memory = [area(1), area(8)]
    begin = time.monotonic()
    for number in range(40000):
        memory[1].resize((8 + number % 2) * PAGE)
    seconds = time.monotonic() - begin
    for _ in range(40000):
        mmap.mmap(-1, PAGE).close()
    return {"seconds": seconds}


def releases():
    found, addresses = {}, {}
    one = area(900)
    touch(one, 0, 900)
    addresses["munmap"] = first(one)
    found["munmap"] = 900
    one.close()  # touched: munmap

    two = area(900)
    touch(two, 0, 900)
    addresses["madvise"] = first(two) + 100
    found["madvise"] = 700
    two.madvise(mmap.MADV_DONTNEED, 100 * PAGE, 700 * PAGE)  # touched: madvise
    two.madvise(mmap.MADV_FREE, 0, 100 * PAGE)

    three = area(900)
    touch(three, 0, 900)
    addresses["mremap"] = first(three) + 250
    found["mremap"] = 650
    three.resize(250 * PAGE)  # touched: mremap

    blocks = [libc.malloc(64 << 10) for _ in range(100)]
    for block in blocks:
        ctypes.memset(block, 1, 64 << 10)
    libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD: not of itself
    for block in blocks:
        libc.free(block)
    libc.malloc_trim(0)  # touched: brk
    found["brk"] = 1600
    addresses["brk"] = None
    return {"pages": found, "first": addresses}


def self_traced():
    """Starts when threads run already; then once more."""
    return {"moved": [one_session(f"{number}.pmt") for number in range(2)]}


def one_session(path):
    ready, go, moved = threading.Event(), threading.Event(), []

    def work():
        ready.set()
        go.wait()
        moved.append([threading.get_native_id(), *move(30)[2]])

    worker = threading.Thread(target=work)
    worker.start()
    ready.wait()
    with pymemtrace.trace(path, overwrite=True, releases="exact"):
        go.set()
        worker.join()
        memory, behind, told = move(31)
        memory.close()
    move(32)  # not recorded
    return [*moved, [threading.get_native_id(), *told]]


def taken():
    """All four breakpoint registers are in use."""
    attributes = bytearray(136)
    attributes[0:8] = (5).to_bytes(4, "little") + (136).to_bytes(4, "little")  # PERF_TYPE_BREAKPOINT
    attributes[40:48] = (0x60).to_bytes(8, "little")  # not in the kernel, not in the hypervisor
    attributes[52:56] = (4).to_bytes(4, "little")  # HW_BREAKPOINT_X
    attributes[56:64] = ctypes.cast(libc.sethostid, ctypes.c_void_p).value.to_bytes(8, "little")
    attributes[64:72] = (8).to_bytes(8, "little")
    buffer = (ctypes.c_char * 136).from_buffer(attributes)
    opened = [libc.syscall(298, buffer, 0, -1, -1, 0) for _ in range(4)]
    with pymemtrace.trace("taken.pmt", overwrite=True, releases="exact"):
        move(30)
    return {"opened": min(opened)}


def released_and_touched():
    """64 MiB that go, and pages that come right after."""
    begun = []
    for _ in range(10):
        memory = area(64 * MIB)
        touch(memory, 0, 64 * MIB)
        time.sleep(0.1)
        before = time.monotonic_ns()
        memory.close()
        touch(area(3), 0, 3)
        begun.append([before, time.monotonic_ns()])
        time.sleep(0.1)
    return {"fell": begun}


def peak():
    memory = area(20 * MIB)
    touch(memory, 0, 10 * MIB)
    time.sleep(0.1)
    touch(memory, 10 * MIB, 10 * MIB - 100)
    begin = time.monotonic_ns()
    touch(memory, 20 * MIB - 100, 100)
    end = time.monotonic_ns()
    memory.madvise(mmap.MADV_DONTNEED, 0, 10 * MIB * PAGE)
    time.sleep(0.2)
    touch(memory, 0, 5 * MIB)
    return {"between": [begin, end]}


WAYS = {"exec": execute}
if __name__ == "__main__":
    print(json.dumps(WAYS.get(sys.argv[1], globals().get(sys.argv[1]))()), flush=True)
