"""Programs of the tests of sections, which check themselves: each test has its own beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

from integration.harness import Outcome, any_user, new_folder, pymemtrace, run

PRELUDE = """\
import asyncio, os, signal, sys, threading, time, warnings
import pymemtrace
from pymemtrace import Profile, Trace, TraceFile, mark

PAGE = os.sysconf("SC_PAGE_SIZE")

def leaf(size=10):
    return bytearray(size)

def work(count=3):
    for _ in range(count):
        leaf()

def called(section):
    return [row.function for row in section.events if row.kind == "call"]

def marks(section):
    return [row.text for row in section.events if row.kind == "mark"]

def state():
    tools = [sys.monitoring.get_tool(i) for i in range(6)] if hasattr(sys, "monitoring") else []
    paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    fds = {path: os.readlink(path) for path in paths if os.path.lexists(path)}
    hooks = sys.getprofile(), sys.gettrace(), signal.getsignal(signal.SIGTRAP)
    return tools, hooks, threading.active_count(), fds

def raises(kind, function, *words):
    try:
        function()
    except kind as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"no {kind.__name__}")

WORK = ["work", "leaf", "leaf", "leaf"]
"""


class Program:
    """A program in a folder of its own, which prints "fine" when it has found what it expects."""

    def __init__(self, body: str, *options: str, fine: bool = True, status: int = 0) -> None:
        user = any_user()
        self.folder: Path = new_folder(user)
        path = self.folder / "program.py"
        path.write_text(PRELUDE + dedent(body) + '\nprint("fine")\n')
        command = [*pymemtrace(), "run", "-q", *options, path] if options else [sys.executable, path]
        self.done: Outcome = run(command, user=user, cwd=self.folder)
        assert self.done.status == status, self.done.stderr
        assert not fine or self.done.stdout.endswith("fine\n"), self.done.stdout
        assert "Exception ignored" not in self.done.stderr
