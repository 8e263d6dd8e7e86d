"""Killed by the kernel for its memory: the trace is there, and says what was in memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.harness import PAGE, TARGETS, cli, need_faults, new_folder, pymemtrace, report, run

LIMIT = 120 << 20
VERSION_1, VERSION_2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory cgroup with a limit; skips where none can be made."""
    first = VERSION_1.is_dir()
    path = (VERSION_1 if first else VERSION_2) / f"pymemtrace-test-{os.getpid()}"
    try:
        path.mkdir()
        (path / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(LIMIT))
        with contextlib.suppress(OSError):  # no swap to flee to, where swap is accounted
            (path / ("memory.memsw.limit_in_bytes" if first else "memory.swap.max")).write_text(
                str(LIMIT if first else 0)
            )
    except OSError as error:
        with contextlib.suppress(OSError):
            path.rmdir()
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield path
    for _ in range(50):
        with contextlib.suppress(OSError):
            path.rmdir()
            return
        time.sleep(0.1)


def test_out_of_memory(group: Path) -> None:
    need_faults("root")
    path = new_folder("root") / "x.pmt"
    command = pymemtrace("run", "-q", "--exact", "-o", path, TARGETS / "scattered.py", "60000")
    done = run(["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh", *command])
    assert done.status == -signal.SIGKILL, done
    found = report(path)
    assert found["end"] == {"kind": "signal", "value": signal.SIGKILL}
    touched = sum(row["self"] for row in found["by_function"] if row["function"] == "touch")
    # The group's limit is no bound from above: now and then the kernel lets the process have a third more before it
    # kills it (its own log has said 158 MB of anonymous memory here), and it counts a fault that it refuses each time.
    assert 0.7 * LIMIT < touched < 60_000 * PAGE
    peak = json.loads(cli("report", path, "--json").stdout)
    held = sum(row["self"] for row in peak["by_function"] if row["function"] == "touch")
    assert 0.7 * LIMIT < held <= peak["rss"]["peak"]
    assert f"{LIMIT >> 20}.0 MiB" in cli("report", path).stdout, "the limit is shown"
