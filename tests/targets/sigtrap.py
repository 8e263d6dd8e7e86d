"""What a program may do with SIGTRAP: `sigtrap.py WAY`. Prints what it saw; touches memory before and after."""

import json
import mmap
import os
import signal
import sys
import threading

PAGES = 2000


def touch() -> None:
    memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(PAGES):
        memory[page * mmap.PAGESIZE] = 1


def handler_then_raise() -> None:
    seen: list[int] = []
    print(signal.getsignal(signal.SIGTRAP))
    print(signal.signal(signal.SIGTRAP, lambda number, frame: seen.append(number)))
    touch()
    signal.raise_signal(signal.SIGTRAP)
    os.kill(os.getpid(), signal.SIGTRAP)
    touch()
    print(seen, signal.getsignal(signal.SIGTRAP).__name__)
    print(signal.signal(signal.SIGTRAP, signal.SIG_DFL).__name__, signal.getsignal(signal.SIGTRAP))


def default() -> None:
    print(signal.signal(signal.SIGTRAP, signal.SIG_DFL))
    touch()
    touch()


def ignore() -> None:
    print(signal.signal(signal.SIGTRAP, signal.SIG_IGN), signal.getsignal(signal.SIGTRAP))
    touch()
    signal.raise_signal(signal.SIGTRAP)
    touch()


def die() -> None:
    touch()
    touch()
    print("before", flush=True)
    signal.raise_signal(signal.SIGTRAP)
    print("not reached")


def handler_that_raises() -> None:
    def handler(number: int, frame: object) -> None:
        raise KeyError(number)

    signal.signal(signal.SIGTRAP, handler)
    touch()
    try:
        signal.raise_signal(signal.SIGTRAP)
    except KeyError as error:
        print("raised", error.args)
    touch()


def refusals() -> None:
    for arguments in ((signal.SIGTRAP,), (signal.SIGTRAP, 5), (signal.SIGTRAP, "x"), (99999, signal.SIG_DFL)):
        try:
            signal.signal(*arguments)
        except (TypeError, ValueError, OSError) as error:
            print(type(error).__name__, error)

    def elsewhere() -> None:
        try:
            signal.signal(signal.SIGTRAP, signal.SIG_IGN)
        except ValueError as error:
            print(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    touch()
    touch()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print(json.dumps({"pages": 2 * PAGES}))
