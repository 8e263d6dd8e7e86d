"""Touch pages, say how many, and end at once in the way named: endings.py WAY"""

import ctypes
import json
import mmap
import os
import signal
import sys

PAGE = mmap.PAGESIZE
SIZE = 32 << 20


def touch(memory):
    for offset in range(0, SIZE, PAGE):
        memory[offset] = 1  # touched: touch


def end(way):
    if way == "exit_3":
        sys.exit(3)
    if way == "exit_text":
        sys.exit("the end")
    if way == "exit_none":
        sys.exit()
    if way == "exit_object":
        raise SystemExit(["not", "a", "number"])
    if way == "exit_large":
        sys.exit(300)
    if way == "exception":
        {}["missing"]
    if way == "chained_exception":
        try:
            [][1]
        except IndexError as error:
            raise ValueError("text with\nlines and \u00fcmlauts") from error
    if way == "exception_group":
        raise ExceptionGroup("several", [ValueError(1), TypeError("2")])
    if way == "os_exit_7":
        os._exit(7)
    if way == "keyboard_interrupt":
        raise KeyboardInterrupt
    if way == "excepthook":
        sys.excepthook = lambda *details: print("hook:", details[0].__name__)
        raise RuntimeError
    if way == "broken_stdout":
        print("left in the buffer", flush=False)
        os.close(1)
    if way == "null_pointer":
        ctypes.string_at(0)
    if way.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[way])


memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
print(json.dumps({"pages": SIZE // PAGE}), flush=True)
touch(memory)
end(sys.argv[1])
