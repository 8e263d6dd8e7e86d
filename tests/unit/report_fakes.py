"""Analysis results made by hand, and a stand-in for the C module that returns them."""

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import pymemtrace

PAGE = 4096
MIB = 1 << 20
NASTY = "[bold]x\x1b[31m\n\u202e\udc80[/bold]"


class FormatError(ValueError):
    """Stands for _analysis.FormatError."""


def process(**changes: Any) -> dict[str, Any]:
    """A process that ran with the fault engine and ended with status 0."""
    return {
        "pid": 100,
        "parent": 1,
        "start_ns": 0,
        "meta": {"engine": "faults", "engine_reason": "", "sys_path": "/app\0/lib/python\0/lib/python/site-packages"},
        "counters": {"tracer_pages": 16, "fault_cost_ns": 2000, "waits": 1, "wait_ns": 500, "rss_hwm_kib": 20480},
        "end": (0, 0, 2_000_000_000),
        "rss_start": 8 * MIB,
        "rss_end": 18 * MIB,
        "rss_peak": 20 * MIB,
        "rss_peak_ns": 1_000_000_000,
        "touched": 12 * MIB,
        "faults": 3072,
        "period": 1,
        "period_changes": 0,
    } | changes


def result(**changes: Any) -> dict[str, Any]:
    """A run of /app/app.py whose books close: total = lines + native + kernel + tracer.

    lines 6 + 3 + 1 MiB, native 1 MiB + 2 pages, kernel 1 MiB, tracer 16 pages.
    """
    native = [
        ("/usr/lib/libblas.so", 0x1000, MIB - PAGE, 255, PAGE, 0),
        ("/usr/lib/libblas.so", 0x2000, PAGE, 1, 0, 0),
        ("", 0, 2 * PAGE, 2, 0, 0),
    ]
    return {
        "version": (1, 0),
        "page_size": PAGE,
        "wall_ns": 1_700_000_000_000_000_000,
        "complete": True,
        "good_bytes": 9000,
        "file_bytes": 9000,
        "duration_ns": 2_000_000_000,
        "signals": 3000,
        "fault_bytes": 8400,
        "meta": {
            "command": "app.py\0--size\0" + "1 000",
            "python": "3.12.4",
            "implementation": "CPython",
            "kernel": "Linux 6.8.0",
            "pymemtrace": "0.1.0",
            "cwd": "/app",
            "user": "1000",
        },
        "processes": [process()],
        "threads": [(0, 101, "worker", 2 * MIB, 512, 0, 0), (0, 100, "MainThread", 10 * MIB, 2560, 0, 0)],
        "frames": [
            ("/app/app.py", 12, "main", 10),
            ("/app/app.py", 22, "build.<locals>.row", 20),
            ("/lib/python/json/decoder.py", 355, "JSONDecoder.raw_decode", 343),
            ("", 0, "", 0),
        ],
        "lines": [
            (1, 6 * MIB, 6 * MIB, 1536, 0, 0),
            (2, 3 * MIB, 3 * MIB, 768, MIB, 0),
            (3, MIB, MIB, 256, 0, 0),
            (0, 0, 10 * MIB, 0, 0, 0),
        ],
        "functions": [
            ("/app/app.py", 20, "build.<locals>.row", 6 * MIB, 6 * MIB, 1536, 0, 0),
            ("/lib/python/json/decoder.py", 343, "JSONDecoder.raw_decode", 3 * MIB, 3 * MIB, 768, MIB, 0),
            ("", 0, "", MIB, MIB, 256, 0, 0),
            ("/app/app.py", 10, "main", 0, 10 * MIB, 0, 0, 0),
        ],
        "files": [
            ("/app/app.py", 6 * MIB, 10 * MIB, 1536, 0, 0),
            ("/lib/python/json/decoder.py", 3 * MIB, 3 * MIB, 768, MIB, 0),
            ("", MIB, MIB, 256, 0, 0),
        ],
        "native": native,
        "sites": [],
        "tree": [
            (0, -1, MIB + 2 * PAGE, 11 * MIB + 2 * PAGE, 258),
            (0, 0, 0, 10 * MIB, 0),
            (1, 1, 6 * MIB, 6 * MIB, 1536),
            (1, 2, 3 * MIB, 3 * MIB, 768),
            (1, 3, MIB, MIB, 256),
        ],
        "touched_total": 12 * MIB + 18 * PAGE,
        "touched_kernel": MIB,
        "touched_tracer": 16 * PAGE,
        "touched_by_time": MIB + PAGE,
        "lost": 0,
        "left_out": None,
        "has_events": False,
        "limit_kib": None,
        "cgroup_peak_kib": None,
        "at_ns": None,
        "at_process": 0,
        "peak_ns": 1_000_000_000,
        "end_ns": 2_000_000_000,
        "held": None,
        "snapshots": [],
        "allocators": [],
    } | changes


def empty(**changes: Any) -> dict[str, Any]:
    """A run in which nothing was attributed."""
    nothing: dict[str, Any] = {key: [] for key in ("lines", "functions", "files", "native", "threads", "frames")}
    sums = {"touched_total": 0, "touched_kernel": 0, "touched_tracer": 0, "touched_by_time": 0, "signals": 0}
    return result(**nothing, tree=[(0, -1, 0, 0, 0)], **sums) | changes


def truncated() -> dict[str, Any]:
    """A trace cut off while the program ran."""
    return result(complete=False, good_bytes=8000, processes=[process(end=None, rss_end=None)])


def nasty() -> dict[str, Any]:
    """A result in which every text is hostile."""
    answer = result()
    answer["frames"] = [(f"/app/{NASTY}.py", line, NASTY, 1) for _file, line, _name, _first in answer["frames"]]
    answer["functions"] = [(f"/app/{NASTY}.py", 1, NASTY, *row[3:]) for row in answer["functions"]]
    answer["files"] = [(f"/app/{NASTY}.py", *row[1:]) for row in answer["files"]]
    answer["native"] = [(f"/lib/{NASTY}.so", *row[1:]) for row in answer["native"]]
    answer["threads"] = [(0, 100, NASTY, MIB, 1, 0, 0)]
    answer["meta"] = dict.fromkeys(answer["meta"], NASTY)
    meta = {"engine": NASTY, "engine_reason": NASTY, "allocator": NASTY, "sys_path": NASTY}
    answer["processes"] = [process(meta=meta)]
    return answer


class FakeAnalysis(types.ModuleType):
    """A module with the contract of _analysis.pyi that answers with `answer` (a result or an exception)."""

    FormatError = FormatError

    def __init__(self, answer: Any) -> None:
        super().__init__("pymemtrace._analysis")
        self.answer = answer
        self.asked: list[tuple[str, int | None]] = []

    def analyze(self, path: str, pid: int | None = None, at: Any = None) -> Any:
        self.asked.append((path, pid))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def samples(self, path: str) -> Any:
        return [{"process": 0, "time_ns": 0, "anon": MIB, "file": 0, "shmem": 0, "swap": 0}] * 3


def install(monkeypatch: pytest.MonkeyPatch, answer: Any) -> FakeAnalysis:
    """Put a fake with this answer where reports find the C module."""
    fake = FakeAnalysis(answer)
    monkeypatch.setitem(sys.modules, "pymemtrace._analysis", fake)
    monkeypatch.setattr(pymemtrace, "_analysis", fake, raising=False)
    return fake


def trace_file(folder: Path) -> str:
    """A file that exists; the fake does not look inside."""
    path = folder / "app.pmt"
    path.write_bytes(b"\x89PMT")
    return str(path)


def child(code: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own that finds this package and the fakes."""
    folders = [str(Path(pymemtrace.__file__).parents[1]), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, text=True, check=False, timeout=60, **options
    )
