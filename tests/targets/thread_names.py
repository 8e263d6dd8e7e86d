"""Threads with a name of Python's, of the kernel's alone, or of both; each touches its own number of pages."""

import _thread
import ctypes
import json
import mmap
import threading

PAGE = mmap.PAGESIZE
PR_SET_NAME = 15
libc = ctypes.CDLL(None, use_errno=True)
libc.pthread_create.argtypes = [ctypes.c_void_p] * 4
libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
kept = []


def touch(pages):
    memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    kept.append(memory)
    for offset in range(0, pages * PAGE, PAGE):
        memory[offset] = 1


def call_oneself(name):
    libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def named_twice():
    call_oneself("kernel's too")
    touch(1000)


def unknown_to_threading(done):
    """No Thread object: Python has no name for it."""
    call_oneself("kernel's only")
    touch(2000)
    done.release()


def native():
    """A thread without Python has the name of the thread that made it until it takes another."""
    call_oneself("native thread")
    text = b"x" * (3000 * PAGE - 1)
    thread = ctypes.c_ulong()
    strdup = ctypes.cast(libc.strdup, ctypes.c_void_p)
    if libc.pthread_create(ctypes.byref(thread), None, strdup, ctypes.cast(text, ctypes.c_void_p)) != 0:
        raise OSError("pthread_create")
    libc.pthread_join(thread, None)


python = threading.Thread(target=named_twice, name="Python's name \N{SNAKE}")
python.start()
python.join()
done = _thread.allocate_lock()
done.acquire()
_thread.start_new_thread(unknown_to_threading, (done,))
done.acquire()
native()
print(json.dumps({"Python's name \N{SNAKE}": 1000, "kernel's only": 2000, "native thread": 3000}))
