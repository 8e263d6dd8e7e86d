"""Snapshots asked for by name while memory comes and goes: named.py

Runs bare as well: then no snapshot is taken.
"""

from _truth import MIB, address_of, forget, fresh, held, measure, moment, show, touch

import pymemtrace

moments = {}


def grow(size):
    memory = fresh(size)
    touch(memory, 0, size)
    held("grow", address_of(memory), size)
    return memory


def other(size):
    memory = fresh(size)
    touch(memory, 0, size)
    held("other", address_of(memory), size)
    return memory


def look(name):
    moments[name] = measure()
    pymemtrace.snapshot(name)


first = grow(32 * MIB)
look("one")
second = other(16 * MIB)
look("two")
moment()
forget("grow")
first.close()
look("three")
third = grow(8 * MIB)
show(moments=moments)
