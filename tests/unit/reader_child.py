"""Runs the C reader and analysis in a child process, so that a crash fails the one test that caused it."""

import io
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("pymemtrace")  # installed, but without its extension module: the tests fail

CHILD = """
import pickle, sys
from pymemtrace import _analysis

def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))

def call(function, *args):
    try:
        result = function(*args)
        if function is _analysis.analyze:
            del result["read"]
        return "ok", result
    except _analysis.FormatError as error:
        return "format", str(error)
    except Exception as error:
        return type(error).__name__, str(error)

cases, path, out = pickle.load(sys.stdin.buffer), sys.argv[1], sys.stdout.buffer
half = 0
start = status("VmHWM")
for number, (data, pid) in enumerate(cases):
    if number == len(cases) // 2:
        half = status("VmHWM")
    if isinstance(data, bytes):
        with open(path, "wb") as file:
            file.write(data)
    name = path if isinstance(data, bytes) else data
    pickle.dump((*call(_analysis.analyze, name, pid), *call(_analysis.samples, name)), out)
    out.flush()
end = status("VmHWM")
pickle.dump((end - start, end - half), out)
"""

Case = tuple[bytes | str, int | None]  # the file's content or its path; the pid


class Outcome(NamedTuple):
    """Kinds: "ok" with a result, "format" with the message of a FormatError, else an exception's class name."""

    kind: str
    value: Any
    samples_kind: str
    samples: Any


class Reader:
    """Runs analyze() and samples() on many files in one child process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.growth_kib = (0, 0)  # of the last child's peak memory: over all its cases, over their second half

    def run(self, cases: Sequence[Case], timeout: float = 300) -> list[Outcome]:
        child = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", CHILD, str(self.path)],
            input=pickle.dumps(list(cases)),
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        out, outcomes = io.BytesIO(child.stdout), []
        try:
            for _ in cases:
                outcomes.append(Outcome(*pickle.load(out)))
            self.growth_kib = pickle.load(out)
        except (EOFError, pickle.UnpicklingError):
            how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
            pytest.fail(f"the reader died ({how}) in case {len(outcomes)}:\n{child.stderr.decode(errors='replace')}")
        return outcomes

    def run_bytes(self, cases: Iterable[bytes]) -> list[Outcome]:
        return self.run([(data, None) for data in cases])


def refused(outcome: Outcome) -> bool:
    """A FormatError with one clear line."""
    if outcome.kind != "format":
        return False
    assert outcome.samples_kind in ("format", "ok")  # samples() may leave records unread that it has no use for
    assert outcome.value.strip()
    assert "\n" not in outcome.value
    return True
