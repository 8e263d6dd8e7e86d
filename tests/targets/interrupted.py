"""Threads that touch memory without pause or lock, while the main thread sleeps until it is interrupted."""

import ctypes
import mmap
import threading
import time

SIZE = 4 << 20


def fill() -> None:
    while True:
        with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            view = ctypes.c_char.from_buffer(memory)
            ctypes.memset(ctypes.addressof(view), 1, SIZE)
            del view


for _ in range(2):
    threading.Thread(target=fill, daemon=True).start()
print("ready", flush=True)
try:
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted", flush=True)
