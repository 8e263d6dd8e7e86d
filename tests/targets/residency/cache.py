"""A cache that is evicted and filled anew within milliseconds, larger each time: cache.py ROUNDS"""

import sys
import time

from _truth import MIB, address_of, forget, fresh, held, moment, show, touch

rounds = int(sys.argv[1])
cache = {}


def fill(name, count):
    for number in range(count):
        memory = cache[number] = fresh(MIB)
        touch(memory, 0, MIB)
        held(name, address_of(memory), MIB)


def fill_even(count):
    fill("fill_even", count)


def fill_odd(count):
    fill("fill_odd", count)


def evict(keep=0):
    while len(cache) > keep:
        cache.popitem()[1].close()


waits = []
for number in range(rounds):
    end = time.monotonic()
    evict()
    forget("fill_even")
    forget("fill_odd")
    waits.append(time.monotonic() - end)
    (fill_odd if number % 2 else fill_even)(32 + 4 * number)
moment()
evict(keep=16)
show(evicted_in=max(waits))
