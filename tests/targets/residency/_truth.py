"""What the programs of this folder share: they know which function touched which memory, and ask the kernel what of it
is there.

The truth comes from /proc/self/pagemap, read by the program itself: it depends on nothing of pymemtrace. A program
calls `held(function, address, size)` for what a function has touched, `moment()` where RSS may be highest and `show()`
as its last act, which prints

{"peak": {function: bytes}, "end": {function: bytes}, "rss_peak": bytes, "rss_end": bytes, "rollup_end": bytes,
 "pages": [[first page, pages], ...] of `held` memory that is there at the end, and what else the program adds}
"""

import ctypes
import json
import mmap
import os
import struct
import sys

PAGE = mmap.PAGESIZE
MIB = 1 << 20
FRESH = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
PIECE = 4096  # entries of pagemap in one reading
PRESENT = 1 << 63

_kept = []
_held = []  # function, address, size
_peak = (0, {})
_pagemap = open("/proc/self/pagemap", "rb", buffering=0)  # noqa: SIM115
_statm = os.open("/proc/self/statm", os.O_RDONLY)


def look_at_this_process():
    """A child's first act: what is open here is its parent's."""
    global _pagemap, _statm
    _pagemap = open("/proc/self/pagemap", "rb", buffering=0)  # noqa: SIM115
    _statm = os.open("/proc/self/statm", os.O_RDONLY)


def held(function, address, size):
    """This function touched this memory, all or part of it, last."""
    _held.append((function, address, size))


def forget(function):
    """What this function touched is gone, or others' by now."""
    _held[:] = [entry for entry in _held if entry[0] != function]


def forget_last():
    """The last of them is gone."""
    _held.pop()


def address_of(buffer):
    """Where the memory of a writable buffer begins."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def address_of_items(items):
    """Where a list keeps its pointers (PyListObject.ob_item)."""
    return ctypes.c_void_p.from_address(id(items) + object.__basicsize__ + 8).value


def fresh(size, huge=False):
    """Memory of its own mapping, untouched; in pages of 4 KiB unless huge ones may be taken."""
    memory = mmap.mmap(-1, size, FRESH)
    if not huge:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def touch(memory, start, end):
    """Write one byte to each page of a part."""
    for offset in range(start, end, PAGE):
        memory[offset] = 1


def runs(address, size):
    """(first page, pages) of what is there in a range."""
    first, last = address // PAGE, (address + size + PAGE - 1) // PAGE
    start = None
    for piece in range(first, last, PIECE):
        count = min(PIECE, last - piece)
        raw = os.pread(_pagemap.fileno(), count * 8, piece * 8)
        for number, (entry,) in enumerate(struct.iter_unpack("=Q", raw)):
            if entry & PRESENT:
                start = piece + number if start is None else start
            elif start is not None:
                yield start, piece + number - start
                start = None
    if start is not None:
        yield start, last - start


def resident(address, size):
    return sum(pages for _, pages in runs(address, size)) * PAGE


def measure():
    """{function: bytes of what it touched that are there}"""
    sums = {}
    for function, address, size in _held:
        sums[function] = sums.get(function, 0) + resident(address, size)
    return sums


def rss():
    return int(os.pread(_statm, 64, 0).split()[1]) * PAGE


def rollup():
    """The kernel's exact number."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("Rss:"))


def moment():
    """Remember what is there now if RSS was never higher at a moment."""
    global _peak
    now = rss()
    if now > _peak[0]:
        _peak = (now, measure())


def show(**more):
    moment()
    truth = {
        "peak": _peak[1],
        "end": measure(),
        "rss_peak": _peak[0],
        "pages": [run for _, address, size in _held for run in runs(address, size)],
        **more,
    }
    text = json.dumps(truth)  # which takes memory too, and keeps it
    _kept.append((truth, text))
    last = {"rss_end": rss(), "rollup_end": rollup()}
    print(text[:-1], json.dumps(last)[1:], sep=", ")
    sys.stdout.flush()
