"""Multiply matrices: the library's own threads, started after tracing began, touch part of the memory."""

import json
import mmap
import os

os.environ["OPENBLAS_NUM_THREADS"] = "2"

import numpy

SIDE = 2048


def multiply(left, right):
    return left @ right


def main():
    left = numpy.full((SIDE, SIDE), 1.0)
    right = numpy.full((SIDE, SIDE), 2.0)
    for _ in range(3):
        product = multiply(left, right)
    right_answer = bool((product == 2.0 * SIDE).all())
    truth = {
        "correct": right_answer,
        "pages": 3 * product.nbytes // mmap.PAGESIZE,
        "main": os.getpid(),
        "threads": len(os.listdir("/proc/self/task")),
    }
    print(json.dumps(truth))


main()
