"""Eight threads fill fresh memory at once, each its own, without the interpreter's lock, and release it."""

import ctypes
import mmap
import threading

from _common import rounds

THREADS = 8
SIZE = 16 << 20


def fill(times: int) -> None:
    """Map, fill and release SIZE bytes, in pages of 4 KiB."""
    for _ in range(times):
        with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            view = ctypes.c_char.from_buffer(memory)
            ctypes.memset(ctypes.addressof(view), 1, SIZE)  # ctypes lets the lock go
            del view


def main() -> None:
    times = rounds(48)
    threads = [threading.Thread(target=fill, args=(times,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"threads: {THREADS * times * SIZE // mmap.PAGESIZE} pages")


if __name__ == "__main__":
    main()
