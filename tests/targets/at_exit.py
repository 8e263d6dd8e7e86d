"""What runs after the last line of a program: at_exit.py atexit|thread|daemon"""

import atexit
import json
import mmap
import sys
import threading
import time

PAGE = mmap.PAGESIZE
SIZE = 16 << 20


def touch_late():
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: touch_late
    print("late")


def wait_and_touch():
    time.sleep(0.2)
    touch_late()


def churn():
    while True:
        with mmap.mmap(-1, SIZE // 16, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            for offset in range(0, SIZE // 16, PAGE):
                memory[offset] = 1


print(json.dumps({"pages": SIZE // PAGE}))
if sys.argv[1] == "atexit":
    atexit.register(touch_late)
elif sys.argv[1] == "thread":
    threading.Thread(target=wait_and_touch).start()
else:
    for _ in range(3):
        threading.Thread(target=churn, daemon=True).start()
    time.sleep(0.05)
print("last line")
