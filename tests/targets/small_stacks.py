"""Touch pages where there is little stack: small_stacks.py thread|alternate|forked|deep|overflow"""

import ctypes
import faulthandler
import json
import mmap
import os
import signal
import sys
import threading

PAGE = mmap.PAGESIZE
PAGES = 4000


def touch(pages=PAGES):
    memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, pages * PAGE, PAGE):
        memory[offset] = 1  # touched: touch


def thread():
    """The smallest stack that Python allows."""
    threading.stack_size(64 << 10)
    threads = [threading.Thread(target=touch) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return 3 * PAGES


def alternate():
    """Signal handlers on a small stack of their own: faulthandler's, then the least the C library names."""
    faulthandler.enable()
    touch()
    libc = ctypes.CDLL(None)
    size = max(8192, libc.sysconf(249))  # _SC_MINSIGSTKSZ
    stack = ctypes.create_string_buffer(size)
    words = (ctypes.c_uint64 * 3)(ctypes.addressof(stack), 0, size)  # stack_t: address, flags, size
    if libc.sigaltstack(words, None) != 0:
        raise OSError("sigaltstack")
    touch()
    words[1] = 2  # SS_DISABLE
    libc.sigaltstack(words, None)
    return 2 * PAGES


def forked():
    """After a fork each page is copied when it is written next, those of the handlers and of their stack too."""
    libc = ctypes.CDLL(None)
    size = 8192 + libc.sysconf(249)
    room = ctypes.create_string_buffer(size + PAGE)
    for number in range(50):  # the frames lie in the pages each time in another way
        words = (ctypes.c_uint64 * 3)(ctypes.addressof(room) + number * PAGE // 50, 0, size)
        if libc.sigaltstack(words, None) != 0:
            raise OSError("sigaltstack")
        child = os.fork()
        if child == 0:
            os._exit(0)
        touch(PAGES // 50)
        os.waitpid(child, 0)
    words[1] = 2  # SS_DISABLE
    libc.sigaltstack(words, None)
    return PAGES


def descend(depth):
    return descend(depth - 1) if depth else touch()


def deep():
    sys.setrecursionlimit(20_000)
    threading.stack_size(256 << 20)
    each = threading.Thread(target=descend, args=(15_000,))
    each.start()
    each.join()
    return PAGES


def overflow():
    """The error comes as it does without a tracer."""
    caught = 0
    for _ in range(3):
        try:
            descend(1 << 30)
        except RecursionError:
            caught += 1
    touch()
    return PAGES if caught == 3 else 0


signal.signal(signal.SIGUSR1, lambda *_: None)
print(json.dumps({"pages": globals()[sys.argv[1]]()}))
