"""Tries an engine in a child process: what it does to a process, a crash included, does not reach this one."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

TIMEOUT_S = 5
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_CHILD = os.path.join(os.path.dirname(__file__), "_child.py")


@dataclass(frozen=True)
class Answer:
    """What became of a try. error: 0 it works, an errno, or None: the child did not come to say."""

    error: int | None
    reason: str = ""

    @property
    def works(self) -> bool:
        return self.error == 0


def probe(engine: str) -> Answer:
    """Try one engine with this interpreter, this user and what else a child inherits."""
    spec = find_spec("pymemtrace._capture")
    if spec is None or not spec.origin:
        return Answer(None, "the extension pymemtrace._capture is not installed for this interpreter")
    return run_child([sys.executable, "-I", "-S", _CHILD, spec.origin, engine])


def run_child(command: list[str], timeout_s: float = TIMEOUT_S) -> Answer:
    """Run a child that prints an answer; however it ends, there is one."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return Answer(None, f"the probe did not end within {timeout_s:g} s")
    except OSError as error:
        short = error.errno if error.errno in _SHORTAGES else None
        return Answer(short, f"the probe cannot be started: {error.strerror}")
    if done.returncode < 0:
        return Answer(None, f"the probe died of {_signal_name(-done.returncode)}")
    try:
        error_number, reason = json.loads(done.stdout)
        return Answer(int(error_number), str(reason))
    except (ValueError, TypeError):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return Answer(None, f"the probe failed: {said[-1] if said else f'exit status {done.returncode}'}")


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"
