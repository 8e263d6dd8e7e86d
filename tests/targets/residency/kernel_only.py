"""Memory that comes in inside system calls: kernel_only.py read|populate"""

import mmap
import os
import sys
import tempfile

from _truth import MIB, PAGE, address_of, fresh, held, show, touch

SIZE = 64 * MIB


def read():
    """One read() into fresh memory: the kernel touches it."""
    memory = fresh(SIZE)
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(SIZE // MIB):
            file.write(b"x" * MIB)
        os.preadv(file.fileno(), [memory], 0)
    held("read", address_of(memory), SIZE)
    return memory


def populate():
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
    held("populate", address_of(memory), SIZE)
    return memory


def go_on():
    """The next fault notices."""
    memory = fresh(PAGE)
    touch(memory, 0, PAGE)
    return memory


kept = [globals()[sys.argv[1]](), go_on()]
show()
