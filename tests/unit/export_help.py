"""A trace of two processes and three threads with known content, and how it is exported in the tests of exports."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

from oracle import encode, synth

PAGE = 4096
HOSTILE = 'a;b "c"\n\x1b[31m\u202e</script>\udc80'


def made(folder: Path, hostile: bool = False) -> Path:
    """main() calls grow() on two threads, each brings in pages; a child process does, too; native code brings in some.

    Touched: main 2 + 1 pages, grow 7 on the main thread, 20 on the worker, 5 in the child, native 4; kernel 3 and
    tracer 6. Calls: main and grow on the main thread (grow: 400 ns), grow on the worker (80 ns), a C function that
    raises, a generator that yields.
    """
    name = HOSTILE if hostile else "grow"
    w = synth.Writer()
    w.raw(encode.meta(0, "command", HOSTILE if hostile else "app.py") + encode.meta(0, "cwd", "/app"))
    p = w.process(100, 1, 0)
    for key, value in (("events", "calls"), ("events_hooks", "monitoring"), ("engine", "faults"), ("sys_path", "/app")):
        w.raw(encode.meta(p + 1, key, value))
    w.raw(encode.mark(p, 100, 1, 1000))
    main, worker = w.thread(p, 100, 0, "MainThread"), w.thread(p, 101, 0, HOSTILE if hostile else "worker")
    library = w.module(p, 0x7F00_0000_0000, 0x10000, 0, "/lib/libfoo.so")
    q = w.process(200, 100, 400)
    w.raw(encode.meta(q + 1, "engine", "faults") + encode.mark(q, 400, 1, 500))
    child = w.thread(q, 200, 400, "MainThread")
    for process in p, q:
        for ident, first, file, function in ((1, 1, "/app/app.py", "main"), (2, 9, "/app/lib.py", name)):
            w.raw(encode.code(process, ident, first, file, function))
            w.raw(encode.code_lines(process, ident, encode.line_run(8, 2)))
    w.raw(encode.code(p, 3, 0, "<builtins>", "shrink") + encode.code(p, 4, 20, "/app/app.py", "items"))
    w.raw(encode.code(p, 5, 0, "<builtins>", "KeyError"))
    w.round(500)
    w.batch(main)
    in_main = w.node(w.root(p), 1, 0)
    w.events(main, [(1000, 11, 1000), (1000, 1, 1)])
    w.fault(1040, 0x5000, 2, in_main, rss=1002)
    w.events(main, [(1200, 1, 2)])
    w.fault(1240, 0x7000, 7, w.node(in_main, 2, 0), rss=1009)
    w.events(main, [(1600, 2, 0), (1640, 7, 3), (1680, 9, 0), (1720, 1, 4), (1760, 3, 0), (1800, 4, 4), (1840, 2, 0)])
    w.note(main, 1880, 1, 0, HOSTILE if hostile else "half way")
    w.fault(1900, 0xE000, 1, in_main, rss=1010)
    w.events(main, [(1920, 6, 5)])
    w.batch(worker)
    w.events(worker, [(1304, 11, 1010), (1304, 1, 2)])
    w.fault(1340, 0x1_0000, 20, w.node(w.root(p), 2, 0), rss=1030)
    w.events(worker, [(1384, 2, 0)])
    w.note(worker, 1400, 6, 12, "")
    w.fault(1500, 0x8_0000, 4, w.root(p), w.site(0x7F00_0000_1234, library))
    w.batch(child)
    w.fault(1510, 0x9_0000, 5, w.node(w.root(q), 2, 0))
    w.sample(p, 1950, 4000, 300, 20, 8)
    w.round(2000)
    w.raw(encode.counter(p, "unowned_pages", 3) + encode.counter(p, "tracer_pages", 6))
    w.raw(encode.mark(p, 2100, 2, 1034) + encode.process_end(q, 0, 0, 2150) + encode.process_end(p, 0, 0, 2200))
    path = folder / ("hostile.pmt" if hostile else "made.pmt")
    path.write_bytes(w.finish(2300))
    return path


def plain(folder: Path) -> Path:
    """A trace without calls."""
    path = folder / "plain.pmt"
    path.write_bytes(synth.small_trace())
    return path


def export(trace: Path, form: str, *words: str) -> Path:
    """The file of an export, made in this process."""
    from pymemtrace.cli import main

    path = trace.with_name(f"{trace.name}.{form}")
    assert main(["export", "--format", form, str(trace), "-f", "-o", str(path), *words]) == 0
    return path


def cli(*words: str | Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """`pymemtrace export` in a process of its own."""
    command = [sys.executable, "-m", "pymemtrace", "export", *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=60, env={**os.environ, **env})


def refused(*words: str | Path) -> str:
    """The one line with which an export is refused, in this process."""
    from pymemtrace.cli import main

    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        status = main(["export", *map(str, words)])
    text = stderr.getvalue()
    assert status == 2 and text.count("\n") == 1 and text.startswith("pymemtrace: "), text
    return text


def long_log(rounds: int) -> bytes:
    """A log of a thousand events a round."""
    w = synth.Writer()
    p = w.process(7)
    w.raw(synth.code(p, 1, 1, "app.py", "f"))
    t = w.thread(p, 7)
    for start in range(rounds):
        w.events(t, [(8 * (1000 * start + i), 1 + i % 2, 1 - i % 2) for i in range(1000)])
        w.round(8 * 1000 * (start + 1))
    return w.finish(1 << 40)
