"""Touch pages, sleep and read a pipe while a handler runs a thousand times a second: signal_storm.py PAGES"""

import json
import mmap
import os
import signal
import sys
import threading
import time

PAGE = mmap.PAGESIZE
pages = int(sys.argv[1])
handled = 0


def on_alarm(_number, _frame):
    global handled
    handled += 1


def touch(memory):
    for offset in range(0, pages * PAGE, PAGE):
        memory[offset] = 1  # touched: touch


def write_slowly(end):
    for letter in b"0123456789":
        time.sleep(0.01)
        os.write(end, bytes([letter]))
    os.close(end)


signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
reading, writing = os.pipe()
writer = threading.Thread(target=write_slowly, args=(writing,))
writer.start()
touch(memory)
heard = b""
while piece := os.read(reading, 100):
    heard += piece
begin = time.monotonic()
time.sleep(0.05)
slept = time.monotonic() - begin
signal.setitimer(signal.ITIMER_REAL, 0)
writer.join()
print(json.dumps({"pages": pages, "heard": heard.decode(), "handled": handled > 20, "slept": slept >= 0.05}))
