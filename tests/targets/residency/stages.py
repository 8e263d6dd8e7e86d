"""Memory that grows in four functions and is released in an order, then a fifth touches 8 MiB: stages.py ORDER

ORDER: the names of the stages in the order in which they go, joined with commas ("" for none).
"""

import sys

from _truth import MIB, address_of, forget, fresh, held, moment, show, touch

SIZES = {"first": 24 * MIB, "second": 40 * MIB, "third": 16 * MIB, "fourth": 32 * MIB, "late": 8 * MIB}
kept = {}


def grow(name):
    memory = kept[name] = fresh(SIZES[name])
    touch(memory, 0, SIZES[name])
    held(name, address_of(memory), SIZES[name])


def first():
    grow("first")


def second():
    grow("second")


def third():
    grow("third")


def fourth():
    grow("fourth")


def late():
    grow("late")


for stage in first, second, third, fourth:
    stage()
moment()
for name in filter(None, sys.argv[1].split(",")):
    forget(name)
    kept.pop(name).close()
late()
show()
