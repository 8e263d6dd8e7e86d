"""Programs that trace themselves through `import pymemtrace`: self_traced.py CASE [ARGUMENT]

Each prints what is true of it as JSON; `path` is its trace, in the current folder.
"""

import asyncio
import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pymemtrace

PAGE = mmap.PAGESIZE
warnings.simplefilter("error", RuntimeWarning)  # no coroutine is forgotten


def touch(pages):
    with mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for offset in range(0, pages * PAGE, PAGE):
            memory[offset] = 1


def inside(pages):
    touch(pages)


def outside(pages):
    touch(pages)


def said(t, **truth):
    print(
        json.dumps({"path": t.path, "engine": t.engine, "problem": t.problem, "running": t.running} | truth), flush=True
    )


def block():
    outside(3000)
    with pymemtrace.trace() as t:
        inside(1000)
        with pymemtrace.trace("never.pmt") as u:
            inside(1000)
        started = pymemtrace.start()
        inside(1000)
        stopped = pymemtrace.stop()
        inside(1000)
        same = t is u is started is stopped and t.running
    outside(3000)
    said(t, pages=4000, same=same, nothing_to_stop=pymemtrace.stop() is None, end=t.read().end.kind)


def start_stop():
    outside(3000)
    t = pymemtrace.start("named.pmt", exact=True)
    inside(4000)
    pymemtrace.stop()
    outside(3000)
    said(t, pages=4000)


def at_once():
    """Three traces, one after another, without names of their own."""
    paths = []
    for _ in range(3):
        with pymemtrace.trace() as t:
            inside(2000)
        paths.append(t.path)
    said(t, pages=2000, paths=paths)


@pymemtrace.trace("plain.pmt")
def plain(pages, *, more=0):
    inside(pages + more)
    return pages


@pymemtrace.trace("generator.pmt")
def generator(pages):
    got = yield 1
    inside(pages)
    try:
        yield got
    except KeyError:
        yield "thrown"
    return pages


@pymemtrace.trace("coroutine.pmt")
async def coroutine(pages):
    await asyncio.sleep(0)
    inside(pages)
    return pages


@pymemtrace.trace("async_generator.pmt")
async def async_generator(pages):
    got = yield 1
    inside(pages)
    try:
        yield got
    except KeyError:
        yield "thrown"


@pymemtrace.trace
def bare(pages):
    inside(pages)


def decorators():
    answers = {"plain": plain(1000, more=500)}

    def consume():
        made = generator(1500)
        yield next(made)
        outside(10)
        yield made.send("sent")
        yield made.throw(KeyError)
        try:
            next(made)
        except StopIteration as end:
            yield end.value

    async def consume_async():
        made = async_generator(1500)
        return [await anext(made), await made.asend("sent"), await made.athrow(KeyError), [x async for x in made]]

    answers["generator"] = list(consume())
    answers["coroutine"] = asyncio.run(coroutine(1500))
    answers["async_generator"] = asyncio.run(consume_async())
    bare(1500)
    names = [plain.__name__, generator.__name__, coroutine.__name__, async_generator.__name__]
    print(json.dumps({"answers": answers, "names": names, "pages": 1500}))


def exceptions():
    """What passes through a trace is what was raised, and the trace is there."""

    @pymemtrace.trace("a.pmt")
    def fails():
        inside(1000)
        raise LookupError("mine")

    @pymemtrace.trace("b.pmt")
    async def cancelled():
        inside(1000)
        await asyncio.sleep(60)

    @pymemtrace.trace("c.pmt")
    async def closed():
        try:
            yield 1
        finally:
            inside(1000)

    async def cancel():
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        made = closed()
        await anext(made)
        await made.aclose()
        return task.cancelled()

    passed = []
    try:
        fails()
    except LookupError as error:
        passed.append(str(error))
    passed.append(asyncio.run(cancel()))
    try:
        with pymemtrace.trace("d.pmt"):
            inside(1000)
            raise SystemExit(3)
    except SystemExit as error:
        passed.append(error.code)
    print(json.dumps({"passed": passed, "pages": 1000, "paths": ["a.pmt", "b.pmt", "c.pmt", "d.pmt"]}))


def concurrent():
    """Coroutines whose blocks overlap without being nested are one trace."""

    async def one(seconds):
        with pymemtrace.trace() as t:
            await asyncio.sleep(seconds)
            inside(1000)
            return t

    async def all_of_them():
        return await asyncio.gather(one(0.05), one(0.15), one(0.1))

    found = asyncio.run(all_of_them())
    said(found[0], pages=3000, same=len(set(map(id, found))) == 1)


def threads():
    """Threads that run before the trace, and those that come while it runs."""
    native = threading.get_native_id
    go, stop, reached = threading.Event(), threading.Event(), threading.Barrier(9)

    def before(pages):
        go.wait()
        inside(pages)
        reached.wait()
        stop.wait()

    old = [threading.Thread(target=before, args=(200 * n,), name=f"before-{n}", daemon=True) for n in range(1, 9)]
    for thread in old:
        thread.start()
    with pymemtrace.trace() as t:
        go.set()
        reached.wait()
        new = threading.Thread(target=inside, args=(3000,), name="came-later")
        new.start()
        new.join()
    stop.set()
    said(t, pages=200 * 36 + 3000, replaced=threading.get_native_id is not native)


def children():
    """The recorder is no child of the program's."""
    signals = []
    signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))
    waits = []

    def wait():
        try:
            waits.append(os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            waits.append("none")

    with pymemtrace.trace() as t:
        inside(1000)
        wait()
    wait()
    time.sleep(0.1)
    wait()
    strangers = [link for fd in os.listdir("/proc/self/fd") for link in _link(fd) if "socket" in link or "pmt" in link]
    said(t, pages=1000, waits=waits, signals=len(signals), strangers=strangers)


def _link(fd):
    with contextlib.suppress(OSError):
        yield os.readlink(f"/proc/self/fd/{fd}")


def often():
    """Traces that come and go leave nothing behind."""

    def state():
        resident = pymemtrace.rss()  # keeps a descriptor
        with open("/proc/self/maps") as maps:
            return {"fds": len(os.listdir("/proc/self/fd")), "maps": len(maps.readlines()), "rss": resident}

    states = []
    for i in range(220):
        with pymemtrace.trace("often.pmt", overwrite=True) as t:
            inside(20)
        assert t.engine == sys.argv[2], t.engine_reason
        assert t.problem is None, t.problem
        if i in (19, 219):
            states.append(state())
    said(t, pages=20, states=states)


def often_with_threads():
    """Traces that come and go while other threads fault all the time."""
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            touch(100)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        with pymemtrace.trace("often.pmt", overwrite=True) as t:
            inside(500)
        assert t.problem is None, t.problem
    stop.set()
    for thread in threads:
        thread.join()
    said(t, pages=500)


def limited():
    import random

    with pymemtrace.trace("limited.pmt", exact=True, max_size=1 << 16) as t:
        numbers = random.Random(1)
        with mmap.mmap(-1, 40000 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            for page in numbers.sample(range(40000), 40000):
                memory[page * PAGE] = 1
    said(t, size=os.path.getsize(t.path))


def unstopped():
    t = pymemtrace.start()
    inside(1000)
    said(t, pages=1000)


def killed():
    t = pymemtrace.start()
    inside(1000)
    said(t, pages=1000)
    os.kill(os.getpid(), signal.SIGKILL)


def fork():
    """A child's part of the block is in the trace, its end of it is not the parent's; then it may trace itself."""
    with pymemtrace.trace() as t:
        inside(1000)
        child = os.fork()
        inside(500)
        if child:
            status = os.waitpid(child, 0)[1]
            inside(500)
    if not child:
        outside(1000)
        with pymemtrace.trace("child.pmt") as u:
            inside(1500)
        with open("child.json", "w") as answer:
            json.dump({"path": u.path, "engine": u.engine, "problem": u.problem}, answer)
        os._exit(7)
    said(t, pages=2000, status=os.waitstatus_to_exitcode(status), parent=os.getpid(), child=child)


TOUCHING = "import sys; sys.path.insert(0, {folder!r}); import self_traced; self_traced.inside({pages})"


def python(pages, **how):
    """Start a Python that touches pages, and see it end well: its pid."""
    code = TOUCHING.format(folder=os.path.dirname(os.path.abspath(__file__)), pages=pages)
    process = subprocess.Popen([sys.executable, "-c", code], **how)
    assert process.wait() == 0
    return process.pid


def surroundings():
    """What a child inherits of the environment, and what this program sees of its own."""
    inherited = subprocess.run(["/usr/bin/env", "-0"], capture_output=True, check=True).stdout
    return sorted(inherited.split(b"\0")), dict(os.environ), dict(os.environb)


def started_python():
    """A Python started inside the block, and one after it, with a PYTHONPATH that may be the program's own."""
    if sys.argv[2:]:
        os.environ["PYTHONPATH"] = sys.argv[2]
    before = surroundings()
    with pymemtrace.trace() as t:
        seen = surroundings()[1:] == before[1:]
        child = python(1000)
        inside(1000)
    same = surroundings() == before
    after = python(1000)
    said(t, child=child, after=after, seen=seen, same=same)


def not_followed():
    before = surroundings()
    with pymemtrace.trace(follow=False) as t:
        same = surroundings() == before
        child = python(1000)
        forked = os.fork()
        if forked == 0:
            inside(1000)
            os._exit(0)
        os.waitpid(forked, 0)
        inside(1000)
    said(t, children=[child, forked], same=same)


def worked(number):
    inside(500)
    return os.getpid()


def pool():
    import multiprocessing

    method = sys.argv[2]
    with pymemtrace.trace() as t, multiprocessing.get_context(method).Pool(2) as workers:
        pids = sorted(set(workers.map(worked, range(8), 1)))
    said(t, pids=pids)


def outlived():
    """The trace ends while a child still works."""
    code = "import sys; print(1, flush=True); sys.stdin.read(1); b = [b'x' * (200 << 20) for _ in range(4)]"
    with pymemtrace.trace() as t:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, "-c", code], **pipes)
        child.stdout.readline()
        time.sleep(0.1)
    begin = time.monotonic()
    child.communicate(b"x")
    said(t, child=child.pid, status=child.returncode, took=time.monotonic() - begin)


def begun_in_a_thread():
    """The main thread sets its own handlers of SIGTRAP in a trace that another thread has begun."""
    seen, refused, results = [], [], []

    def begin():
        pymemtrace.start("x.pmt")
        try:
            signal.signal(signal.SIGTRAP, signal.SIG_IGN)
        except ValueError:
            refused.append(True)

    earlier = (
        signal.signal(signal.SIGTRAP, lambda number, frame: seen.append("early")) if sys.argv[2:] else signal.SIG_DFL
    )
    runs = [threading.Thread(target=begin)]
    runs[0].start()
    runs[0].join()
    inside(500)
    if sys.argv[2:]:
        signal.raise_signal(signal.SIGTRAP)
        earlier = signal.getsignal(signal.SIGTRAP)
    own = lambda number, frame: seen.append("own")  # noqa: E731
    results.append(signal.getsignal(signal.SIGTRAP) == earlier)
    results.append(signal.signal(signal.SIGTRAP, own) == earlier)
    inside(500)
    signal.raise_signal(signal.SIGTRAP)
    results.append(signal.signal(signal.SIGTRAP, signal.SIG_IGN) is own)
    inside(500)
    signal.raise_signal(signal.SIGTRAP)
    results.append(signal.signal(signal.SIGTRAP, signal.SIG_DFL) == signal.SIG_IGN)
    inside(500)
    t = pymemtrace.stop()
    said(t, seen=seen, refused=refused, results=results)
    signal.raise_signal(signal.SIGTRAP)
    print("not reached")


def descriptors():
    """A program that closes what it does not know."""
    with pymemtrace.trace() as t:
        before = pymemtrace.rss()
        os.closerange(3, 4096)
        inside(4000)
        after = pymemtrace.rss()
    said(t, pages=4000, difference=abs(after - before))


def _status(field):
    with open("/proc/self/status") as status:
        [kib] = [line.split()[1] for line in status if line.startswith(field)]
    return int(kib) * 1024


def rss():
    """rss() and rss_peak() beside what /proc says, here, in a fork child, and after an exec."""
    kept = mmap.mmap(-1, 40 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.write(b"x" * (40 << 20))

    def pair():
        _status("VmRSS:")  # what looking brings in
        return [pymemtrace.rss(), _status("VmRSS:"), pymemtrace.rss_peak(), _status("VmHWM:")]

    pairs = {"here": pair()}
    kept.resize(1 << 20)
    pairs["after"] = pair()
    reading, writing = os.pipe()
    if not os.fork():
        more = mmap.mmap(-1, 10 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        more.write(b"x" * (10 << 20))
        os.write(writing, json.dumps(pair()).encode())
        os._exit(0)
    os.wait()
    pairs["child"] = json.loads(os.read(reading, 4096))
    kept.resize(40 << 20)
    kept.seek(0)
    kept.write(b"x" * (40 << 20))
    values = "s.pymemtrace.rss(), s._status('VmRSS:'), s.pymemtrace.rss_peak(), s._status('VmHWM:')"
    code = f"import json, self_traced as s; s._status('VmRSS:'); print(json.dumps([{values}]))"
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.chdir(os.path.dirname(os.path.abspath(__file__)))
        os.execv(sys.executable, [sys.executable, "-c", code])
    os.waitpid(child, 0)
    pairs["exec"] = json.loads(os.read(reading, 4096))
    begin = time.perf_counter()
    for _ in range(10000):
        pymemtrace.rss()
    pairs["seconds"] = (time.perf_counter() - begin) / 10000
    print(json.dumps(pairs))


def errors():
    """Wrong arguments are told; trouble of the machine is not the program's."""
    raised = {}

    def attempt(name, *args, **kwargs):
        try:
            with pymemtrace.trace(*args, **kwargs):
                pass
        except Exception as error:
            raised[name] = [type(error).__name__, str(error), getattr(error, "errno", None)]

    attempt("type", 3)
    attempt("size_type", max_size="1M")
    attempt("size", max_size=0)
    attempt("null", "a\0b")
    attempt("folder", "/nowhere/x.pmt")
    attempt("device", "/dev/null", overwrite=True)
    with open("there.pmt", "w") as there:
        there.write("x")
    attempt("exists", "there.pmt")
    attempt("overwritten", "there.pmt", overwrite=True)
    print(json.dumps(raised))


def refused():
    """No recorder: one warning, and the program goes on."""
    import pymemtrace.process.apart as apart

    apart._PROGRAM = "/nowhere/recorder"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pymemtrace.trace("x.pmt") as t:
            inside(10)
    with pymemtrace.trace("y.pmt"):  # warnings are errors here
        pass
    said(
        t,
        reason=t.engine_reason,
        warnings=[str(w.message) for w in caught],
        file=caught[0].filename,
        left=os.listdir("."),
    )


def refused_faults():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pymemtrace.trace("x.pmt") as t:
            inside(10)
    said(t, reason=t.engine_reason, warnings=[str(w.message) for w in caught])


def recorder_killed():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pymemtrace.trace() as t:
            inside(1000)
            found = subprocess.run(["pgrep", "-f", "^/.*pymemtrace-recorder"], capture_output=True, text=True).stdout
            for pid in map(int, found.split()):
                with contextlib.suppress(OSError):
                    if os.path.samefile(f"/proc/{pid}/fd/1", t.path):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
            inside(20000)
    said(t, warnings=[str(w.message) for w in caught])


def traced():
    """Under `pymemtrace run` no other trace is made."""
    with pymemtrace.trace("other.pmt") as t:
        inside(1000)
    outside(1000)
    said(t, reason=t.engine_reason, other=os.path.exists("other.pmt"))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
