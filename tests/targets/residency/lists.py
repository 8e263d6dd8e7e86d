"""Lists whose memory moves or stays: lists.py append|pinned

`append`: a list of 20 million items, which mremap moves as it grows. `pinned`: two million floats, of which a few stay
and keep CPython's arenas.
"""

import sys

from _truth import PAGE, address_of_items, forget_last, held, moment, show

COUNT = {"append": 20_000_000, "pinned": 2_000_000}[sys.argv[1]]


def append():
    items = []
    for _ in range(COUNT):
        items.append(None)
    held("append", address_of_items(items), items.__sizeof__() - 40)
    return items


def floats():
    start = 0.5
    items = [None] * COUNT
    for index in range(COUNT):
        items[index] = start + index
    return items


def pages_of(items):
    """(first page, pages) of the memory that the items are in."""
    pages = sorted({id(item) // PAGE for item in items})
    start = previous = pages[0]
    for page in pages[1:]:
        if page != previous + 1:
            yield start, previous + 1 - start
            start = page
        previous = page
    yield start, previous + 1 - start


def pin(items):
    """Keep one of 4,000: one or two in each arena of 1 MiB."""
    return items[::4000]


if sys.argv[1] == "append":
    kept = append()
    show()
else:
    many = floats()
    for first, pages in pages_of(many):
        held("floats", first * PAGE, pages * PAGE)
    held("floats", address_of_items(many), many.__sizeof__() - 40)
    moment()
    forget_last()  # the list's pointers go with it
    kept = pin(many)
    del many
    show()
