"""Code objects that come and go: made_code.py reused|redefined

reused: many functions, each made by exec, called once and destroyed, so that the next takes its address.
redefined: two functions of the same name at the same line of the same file, with other lines in them.
"""

import json
import mmap
import sys

PAGE = mmap.PAGESIZE
COUNT = 100
SMALL = 64 * PAGE
LARGE = 16 << 20
FRESH = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

MADE = """
def made_{number:03}(memory):
    for offset in range(0, {size}, {page}):
        memory[offset] = {number}
"""
FIRST = """
def again(memory):
    for offset in range(0, {size} // 2, {page}):
        memory[offset] = 1
"""
SECOND = """
def again(memory):
    # The same function, a line further down.
    for offset in range(0, {size}, {page}):
        memory[offset] = 1
"""


def make(source, name, file):
    namespace = {}
    exec(compile(source, file, "exec"), namespace)
    return namespace.pop(name)  # leaves no reference cycle: it dies with its last user


def reused():
    addresses = set()
    for number in range(COUNT):
        source = MADE.format(number=number, size=SMALL, page=PAGE)
        function = make(source, f"made_{number:03}", f"<made {number:03}>")
        addresses.add(id(function.__code__))
        with mmap.mmap(-1, SMALL, FRESH) as memory:
            function(memory)
        del function
    return {"count": COUNT, "pages": SMALL // PAGE, "addresses": len(addresses)}


def redefined():
    for source in FIRST, SECOND:
        again = make(source.format(size=LARGE, page=PAGE), "again", "<cell>")
        with mmap.mmap(-1, LARGE, FRESH) as memory:
            again(memory)
        del again
    return {"first": LARGE // 2 // PAGE, "second": LARGE // PAGE}


print(json.dumps(globals()[sys.argv[1]]()))
