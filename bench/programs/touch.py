"""Maps fresh memory, writes one byte to each page, releases it, and again: page faults and next to nothing else.

The worst case for a tracer of page faults. Each round touches 64 MiB in pages of 4 KiB (without the advice against huge
pages one fault could bring 512 of them), in one loop in C, so that no bytecode hides the cost of the faults.
"""

import mmap

from _common import rounds

SIZE = 64 << 20


def touch_all(size: int) -> int:
    """Touch a new mapping of `size` bytes page by page; returns how many pages."""
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        pages = size // mmap.PAGESIZE
        memory[:: mmap.PAGESIZE] = bytes(pages)
        return pages


def main() -> None:
    pages = sum(touch_all(SIZE) for _ in range(rounds(40)))
    print(f"touch: {pages} pages")


if __name__ == "__main__":
    main()
