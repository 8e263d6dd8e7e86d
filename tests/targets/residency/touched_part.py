"""An array of 512 MiB touched in part: touched_part.py PERCENT up|down|apart"""

import sys

from _truth import MIB, PAGE, address_of, fresh, held, show

SIZE = 512 * MIB


def offsets(percent, way):
    end = SIZE * percent // 100
    if way == "apart":  # evenly over the whole array
        return range(0, SIZE, PAGE * 100 // percent) if percent else range(0)
    return range(0, end, PAGE) if way == "up" else range(end - PAGE, -PAGE, -PAGE)


def touch_part(memory, percent, way):
    for offset in offsets(percent, way):
        memory[offset] = 1


array = fresh(SIZE)
held("touch_part", address_of(array), SIZE)
touch_part(array, int(sys.argv[1]), sys.argv[2])
show()
