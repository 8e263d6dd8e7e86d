"""Use every real-time signal there is: real_time_signals.py handlers|defaults|waiting|kinds|fork

What the program sees of signals is printed; work between makes ticks due.
"""

import json
import os
import signal
import sys
import threading
import time

ALL = sorted(set(signal.valid_signals()) & set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1)))
kept = []


def work(seconds=0.05):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        kept.append(bytearray(50_000))


def beside():
    """The same in another thread."""
    thread = threading.Thread(target=work)
    thread.start()
    work()
    thread.join()


def handlers():
    """A handler for each gets exactly what is sent, and the old ones are told."""
    got = []
    before = [signal.signal(number, lambda number, _frame: got.append(number)) for number in ALL]
    beside()
    unsent = list(got)
    for number in ALL:
        signal.raise_signal(number)
    beside()
    after = [signal.getsignal(number) == signal.SIG_DFL for number in ALL]
    return {"before": [str(each) for each in before], "unsent": unsent, "got": got, "after": after}


def defaults():
    """The default action and SIG_IGN are set and the program lives on."""
    for way in signal.SIG_DFL, signal.SIG_IGN, signal.SIG_DFL:
        for number in ALL:
            signal.signal(number, way)
        beside()
    return {"dispositions": [str(signal.getsignal(number)) for number in ALL]}


def waiting():
    """A program that blocks all signals and waits for them sees its own only."""
    before = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ALL)))
    beside()
    pending = sorted(signal.sigpending())
    got = signal.sigtimedwait(ALL, 0.05)
    os.kill(os.getpid(), ALL[-3])
    second = signal.sigtimedwait(ALL, 1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL)
    beside()
    return {"before": before, "pending": pending, "got": got, "second": second.si_signo if second else None}


def kinds():
    """What introspection says of the functions and signals."""
    functions = signal.signal, signal.pthread_sigmask, sys.modules["_signal"].signal
    facts = [(f.__name__, f.__doc__, str(getattr(f, "__text_signature__", None)), type(f).__name__) for f in functions]
    errors = []
    for arguments in (), (10,), ("x", signal.SIG_DFL), (0, signal.SIG_DFL), (10, 3), (10**30, signal.SIG_DFL):
        try:
            signal.signal(*arguments)
        except Exception as error:
            errors.append(repr(error))
    return {"facts": facts, "errors": errors, "handlers": [str(signal.getsignal(number)) for number in ALL]}


def fork():
    """Timers are not inherited: a child has none, unless it is traced too."""
    work()
    child = os.fork()
    if child == 0:
        work(0.15)
        with open("/proc/self/timers") as file:
            print("timers of the child:", file.read().count("signal:"), flush=True)
        os._exit(7)
    work()
    return {"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}


print(json.dumps(globals()[sys.argv[1]](), default=str))
