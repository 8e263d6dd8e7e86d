"""Touch a known number of fresh pages in one way and print the truth as JSON: touch_kinds.py KIND

`pages` is what arithmetic says, `rise` what the kernel's exact count of this process says.
"""

import ctypes
import itertools
import json
import mmap
import sys
import tempfile

PAGE = mmap.PAGESIZE
SIZE = 32 << 20
PIECE = 1 << 20
HUGE = 64 << 20
MANY = 240 << 20
FRESH = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

if sys.argv[1].startswith("numpy"):
    import numpy

M_MMAP_THRESHOLD = -3
POOL, FLOATS_IN_POOL = 16384, 510  # of CPython's small-object allocator


def list_repeat():
    items = [None] * (SIZE // 8)  # touched: list_repeat
    return items, SIZE


def list_append():
    items = []
    for _ in range(SIZE // 8):
        items.append(None)  # touched: list_append
    return items, SIZE


def list_of_floats():
    items = []
    count, start = SIZE // 40, 0.5
    for _ in itertools.repeat(None, count):  # no object of its own in each round
        items.append(start + 1.0)  # touched: list_of_floats
    return items, count * POOL // FLOATS_IN_POOL + count * 8


def bytearray_grow():
    chunk = b"x" * 65536
    buffer = bytearray()
    for _ in range(SIZE // len(chunk)):
        buffer += chunk  # touched: bytearray_grow
    return buffer, SIZE


def bytes_repeat():
    text = b"x" * SIZE  # touched: bytes_repeat
    return text, SIZE


def mmap_private():
    memory = mmap.mmap(-1, SIZE, FRESH)
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: mmap_private
    return memory, SIZE


def mmap_shared():
    memory = mmap.mmap(-1, SIZE)
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: mmap_shared
    return memory, SIZE


def ctypes_buffer():
    buffer = (ctypes.c_char * SIZE)()
    ctypes.memset(buffer, 1, SIZE)
    return buffer, SIZE


def numpy_pieces():
    pieces = []
    for _ in range(SIZE // PIECE):
        array = numpy.empty(PIECE, numpy.uint8)
        array.fill(1)  # touched: numpy_pieces
        pieces.append(array)
    return pieces, len(pieces) * (PIECE + PAGE)


def numpy_huge():
    array = numpy.empty(HUGE, numpy.uint8)
    array.fill(1)  # touched: numpy_huge
    return array, HUGE


def file_read():
    memory = mapped_file(mmap.MAP_SHARED, mmap.PROT_READ)
    for offset in range(0, SIZE, PAGE):
        memory[offset]  # touched: file_read
    return memory, SIZE


def file_write():
    memory = mapped_file(mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: file_write
    return memory, SIZE


def file_copy_on_write():
    memory = mapped_file(mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: file_copy_on_write
    return memory, SIZE


def touched_again():
    """Four times the same size, released each time: nothing is left, and every touch counts."""
    for _ in range(4):
        memory = mmap.mmap(-1, SIZE // 4, FRESH)
        for offset in range(0, SIZE // 4, PAGE):
            memory[offset] = 1  # touched: touched_again
        memory.close()
    return None, SIZE


def many_pages():
    """Far more faults than are signalled one by one by default."""
    memory = mmap.mmap(-1, MANY, FRESH)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for offset in range(0, MANY, PAGE):
        memory[offset] = 1  # touched: many_pages
    return memory, MANY


def only_read():
    """The kernel's page of zeros answers each read: a fault a page, no memory."""
    memory = mmap.mmap(-1, SIZE, FRESH)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for offset in range(0, SIZE, PAGE):
        memory[offset]  # touched: only_read
    return memory, 0


def mapped_file(flags, protection):
    with tempfile.TemporaryFile() as file:
        for _ in range(SIZE // PIECE):
            file.write(b"x" * PIECE)
        file.flush()
        return mmap.mmap(file.fileno(), SIZE, flags, protection)


def rss():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("Rss:"))


def main():
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 << 10)  # large blocks are always fresh mappings
    kind = globals()[sys.argv[1]]
    before = rss()
    kept, size = kind()
    rise = rss() - before
    print(json.dumps({"pages": size // PAGE, "rise": rise // PAGE, "accesses": SIZE // PAGE}))
    del kept


main()
