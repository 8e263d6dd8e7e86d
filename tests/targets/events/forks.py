"""Fork with work on both sides, in the middle of calls, and a fork in the child."""

import os
import sys


def work(n):
    return [inner(i) for i in range(n)]


def inner(i):
    return str(i)


def in_child(depth):
    work(3 + depth)
    if depth:
        fork(depth - 1)
    sys.stdout.flush()
    os._exit(0)


def fork(depth):
    pid = os.fork()
    if pid == 0:
        in_child(depth)
    os.waitpid(pid, 0)


def main():
    work(2)
    fork(1)
    work(1)


main()
