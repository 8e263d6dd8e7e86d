"""Forks 1,000 times, one child after the other; each ends at once."""

import os

for _ in range(1000):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
