"""A child writes a quarter of what its parent had, copy-on-write, and touches 8 MiB of its own: forks.py"""

import json
import os
import sys

from _truth import MIB, address_of, fresh, held, look_at_this_process, moment, resident, show, touch

SIZE = 64 * MIB
kept = []


def build():
    memory = fresh(SIZE)
    touch(memory, 0, SIZE)
    held("build", address_of(memory), SIZE)
    return memory


def write_part(memory):
    touch(memory, 0, SIZE // 4)


def grow_in_child():
    memory = fresh(8 * MIB)
    touch(memory, 0, 8 * MIB)
    return memory


def child(memory, out):
    write_part(memory)
    look_at_this_process()
    kept.append(own := grow_in_child())
    truth = {
        "pid": os.getpid(),
        "end": {"write_part": SIZE // 4, "grow_in_child": resident(address_of(own), len(own))},
        "inherited": resident(address_of(memory), SIZE) - SIZE // 4,
    }
    os.write(out, json.dumps(truth).encode())


array = build()
moment()
inlet, outlet = os.pipe()
pid = os.fork()
if pid == 0:
    child(array, outlet)
    sys.exit()
os.close(outlet)
with os.fdopen(inlet, "rb") as answer:
    of_child = json.loads(answer.read())
os.waitpid(pid, 0)
show(child=of_child)
