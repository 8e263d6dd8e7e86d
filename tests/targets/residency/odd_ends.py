"""Programs that leave little to look at: odd_ends.py killed|os_exit|undumpable|stopped_looking"""

import ctypes
import os
import signal
import sys

from _truth import MIB, fresh, touch

PR_SET_DUMPABLE = 4
way = sys.argv[1]


def grow():
    memory = fresh(32 * MIB)
    touch(memory, 0, 32 * MIB)
    return memory


if way == "undumpable":
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
kept = grow()
fresh(8 * MIB).close()
if way == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if way == "os_exit":
    os._exit(0)
