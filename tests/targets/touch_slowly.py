"""Touch memory for a while, in steps, so that the trace grows block by block: touch_slowly.py SECONDS"""

import json
import mmap
import sys
import time

PAGE = mmap.PAGESIZE
STEP = 64 * PAGE
end = time.monotonic() + float(sys.argv[1])
kept = []


def step():
    memory = mmap.mmap(-1, STEP, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, STEP, PAGE):
        memory[offset] = 1
    kept.append(memory)


print("ready", flush=True)
while time.monotonic() < end:
    step()
    time.sleep(0.005)
print(json.dumps({"pages": len(kept) * STEP // PAGE}))
