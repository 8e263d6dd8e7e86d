"""Touch pages at the bottom of a deep recursion: recursion.py DEPTH"""

import json
import mmap
import sys

PAGE = mmap.PAGESIZE
SIZE = 16 << 20


def outermost(depth):
    return second(depth)


def second(depth):
    return descend(depth)


def descend(depth):
    if depth:
        return descend(depth - 1)
    return second_last()


def second_last():
    return innermost()


def innermost():
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: innermost
    return memory


depth = int(sys.argv[1])
sys.setrecursionlimit(depth + 100)
kept = outermost(depth)
print(json.dumps({"pages": SIZE // PAGE}))
