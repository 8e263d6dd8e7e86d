"""What the tests of residency share: traces of known programs with their reports, and another's view of RSS."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    Traced,
    children,
    cli,
    kill_tree,
    need_faults,
    new_folder,
    popen,
    pymemtrace,
    text,
    users,
)

LEAST_OWNED = {"exact": 0.99, "adaptive": 0.97}
PARTS = ("before_start", "owned", "file", "shared", "kernel", "tracer", "unexplained")
TIMEOUT = 120

each_user = pytest.mark.parametrize("user", users())
as_user = pytest.mark.parametrize("user", users()[-1:])  # without privileges, as most are
each_period = pytest.mark.parametrize("period", ["exact", "adaptive"])


@dataclasses.dataclass(frozen=True)
class Resident(Traced):
    """A traced run whose report is that of the peak, with that of the end and how high RSS ever was."""

    end: dict[str, Any]
    highest: int  # bytes: VmHWM as last seen from outside
    sampled: int  # bytes: the highest of an independent process's readings of RSS, one a millisecond

    def at_end(self) -> Traced:
        return Traced(self.status, self.stdout, self.stderr, self.seconds, self.path, self.end)


def report(path: Path, *options: str, user: str | None = None) -> dict[str, Any]:
    """`report --json`: of the peak, if no option says otherwise."""
    done = cli("report", path, "--json", *options, user=user)
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def options(period: str) -> tuple[str, ...]:
    return ("--exact",) if period == "exact" else ()


@functools.cache
def resident(target: str, *arguments: str, user: str, period: str = "exact", engine: str = "faults") -> Resident:
    """Trace a program of tests/targets/residency (or any other, by its path) that ends well; read its reports."""
    if engine == "faults":
        need_faults(user)
    path = new_folder(user) / "x.pmt"
    program = Path(target) if os.path.isabs(target) else TARGETS / "residency" / target
    how = ("--engine", "timer") if engine == "timer" else options(period)
    began = time.monotonic()
    command = pymemtrace("run", "-q", "-f", "-o", path, *how, program, *arguments)
    with popen(command, user=user) as process, Watcher(process.pid) as watcher, Sampler(process.pid) as sampler:
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            raise
    assert (text(stderr), process.returncode) == ("", 0)
    peak, end = report(path, user=user), report(path, "--at", "end", user=user)
    seconds = time.monotonic() - began
    return Resident(0, text(stdout), text(stderr), seconds, path, peak, end, watcher.highest, sampler.highest)


class Watcher:
    """Reads the kernel's own mark of a launcher's program's highest RSS, from outside and knowing nothing of the trace.

    VmHWM misses no peak, however rarely it is read; only its last reading must come before the program's end.
    """

    def __init__(self, launcher: int) -> None:
        self.launcher, self.highest = launcher, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            for pid in children(self.launcher):
                self.highest = max(self.highest, high_water(Path(f"/proc/{pid}/status")))


class Sampler:
    """Reads RSS every millisecond, in a process of its own: this one is busy with the pipes and the watcher."""

    def __init__(self, launcher: int) -> None:
        self.launcher, self.highest = launcher, 0

    def __enter__(self) -> Sampler:
        command = [sys.executable, "-S", str(Path(__file__).with_name("sampler.py")), str(self.launcher)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.highest = int(self._process.communicate(timeout=TIMEOUT)[0])
        finally:
            self._process.kill()


def high_water(status: Path) -> int:
    """VmHWM in bytes, 0 where there is none."""
    with contextlib.suppress(OSError):
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


# What every report must hold


def assert_books_close(found: dict[str, Any], pid: int | None = None) -> None:
    """To the byte: the sum is the system's number, owners have what is owned, all tables show the same bytes."""
    assert found["quantity"] == "resident"
    for at in [found["at"], *(each["at"] for each in found["processes"] if each["traced"] and each.get("at"))]:
        assert at["rss"] == sum(at[part] for part in PARTS), at
        assert at["owned"] == at["exact"] + at["fill"] + at["by_time"], at
        assert all(at[key] >= 0 for key in (*PARTS, "exact", "fill", "by_time") if key != "unexplained"), at
    shown = [each["at"] for each in found["processes"] if each.get("at") and pid in (None, each["pid"])]
    owned = sum(at["owned"] for at in shown)
    for table in "by_line", "by_function", "by_module":
        assert sum(row["self"] for row in found[table]) == owned, table
    assert sum(row["bytes"] for row in found["by_thread"]) == owned


def share_owned(at: dict[str, Any]) -> float:
    """Of what is resident and appeared since the start: with an owner."""
    appeared = at["rss"] - at["before_start"] - at["tracer"]
    return at["owned"] / appeared if appeared > 0 else 1.0


def assert_bytes(found: int, truth: int, what: Any, slack: int = 16) -> None:
    """Within 2 % and some pages: a function also touches its frame, and what the allocators keep for it."""
    assert abs(found - truth) <= truth * 0.02 + slack * PAGE, f"{what}: {found}, not {truth} ({found - truth:+})"


def assert_owners(found: Traced, truth: dict[str, int], target: str, slack: int = 16) -> None:
    for function, size in truth.items():
        assert_bytes(found.function(function, target)["total"], size, function, slack)
