"""Recursion to the interpreter's limit, and back by the exception."""

import sys


def endless(n):
    return endless(n + 1)


sys.setrecursionlimit(120)
try:
    endless(0)
except RecursionError:
    print("deep enough")
