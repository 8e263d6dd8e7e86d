"""Memory that is another process's too, or another program's before: changes_hands.py fork|exec|second"""

import mmap
import os
import sys

MIB = 1 << 20


def read_all(memory):
    return sum(memory[offset] for offset in range(0, len(memory), mmap.PAGESIZE))


def fill(memory):
    memory[:: mmap.PAGESIZE] = b"x" * (len(memory) // mmap.PAGESIZE)


def touch_in_second(size):
    return bytearray(b"x") * size


way = sys.argv[1]
if way == "fork":
    shared = mmap.mmap(-1, 80 * MIB)
    fill(shared)
    child = os.fork()
    if child == 0:
        read_all(shared)  # at once: nobody has looked yet what was there before
        sys.exit()
    os.waitpid(child, 0)
elif way == "exec":
    first = bytearray(b"x") * (20 * MIB)
    os.execv(sys.executable, [sys.executable, __file__, "second"])
else:
    second = touch_in_second(60 * MIB)
