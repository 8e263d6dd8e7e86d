"""Threads that touch different amounts at the same time: at_once.py python|released|native

python: in bytecode, under the lock. released: in C, the lock released. native: one is a thread without Python.
"""

import ctypes
import json
import mmap
import sys
import threading

PAGE = mmap.PAGESIZE
SMALL, LARGE = 4_000, 12_000
libc = ctypes.CDLL(None, use_errno=True)
barrier = threading.Barrier(2)
tids = {}


def fresh(pages):
    memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def address_of(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def small(memory, fill):
    tids["small"] = threading.get_native_id()
    barrier.wait()
    fill(memory)  # touched: small


def large(memory, fill):
    tids["large"] = threading.get_native_id()
    barrier.wait()
    fill(memory)  # touched: large


def fill_in_python(memory):
    for offset in range(0, len(memory), PAGE):
        memory[offset] = 1


def fill_in_c(memory):
    libc.memset(ctypes.c_void_p(address_of(memory)), 1, ctypes.c_size_t(len(memory)))


def run(fill):
    threads = [
        threading.Thread(target=small, args=(fresh(SMALL), fill)),
        threading.Thread(target=large, args=(fresh(LARGE), fill)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"small": SMALL, "large": LARGE, "tids": tids}


def native():
    """A thread of the C library's alone copies a text: its own pages, and none of a Python line."""
    text = b"x" * (LARGE * PAGE - 1)
    thread = ctypes.c_ulong()
    libc.pthread_create.argtypes = [ctypes.c_void_p] * 4
    libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
    strdup = ctypes.cast(libc.strdup, ctypes.c_void_p)
    if libc.pthread_create(ctypes.byref(thread), None, strdup, ctypes.cast(text, ctypes.c_void_p)) != 0:
        raise OSError("pthread_create")
    libc.pthread_join(thread, None)
    return {"large": LARGE, "main": threading.get_native_id()}


ways = {"python": lambda: run(fill_in_python), "released": lambda: run(fill_in_c), "native": native}
print(json.dumps(ways[sys.argv[1]]()))
