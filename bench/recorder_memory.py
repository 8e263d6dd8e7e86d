"""Watches the recorder's anonymous memory from outside while a program is traced."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

NAME = "pymemtrace-recorder"
INTERVAL_S = 0.05
MIN_HALF = 20  # samples: in less than a second a single page that comes in for the first time looks like growth


@dataclass
class RecorderMemory:
    """The samples of one run: seconds since the first one, RssAnon in bytes."""

    samples: list[tuple[float, int]] = field(default_factory=list)

    def watch(self, launcher: int) -> None:
        """Sample the recorder of this launcher, 20 times a second, until the launcher has ended."""
        recorder = None
        start = time.monotonic()
        while _alive(launcher):
            recorder = recorder or _recorder_of(launcher)
            size = _rss_anon(recorder) if recorder else None
            if size is not None:
                self.samples.append((time.monotonic() - start, size))
            time.sleep(INTERVAL_S)

    @property
    def peak(self) -> int | None:
        """Bytes; None: no recorder was seen."""
        return max((size for _, size in self.samples), default=None)

    @property
    def slope(self) -> float | None:
        """Bytes a second over the second half of the run (least squares); None: too short a run."""
        half = self.samples[len(self.samples) // 2 :]
        if len(half) < MIN_HALF:
            return None
        mean_x = sum(when for when, _ in half) / len(half)
        mean_y = sum(size for _, size in half) / len(half)
        spread = sum((when - mean_x) ** 2 for when, _ in half)
        return sum((when - mean_x) * (size - mean_y) for when, size in half) / spread


def _alive(pid: int) -> bool:
    """Whether the process still runs; it is ours and not yet waited for, so the pid cannot be another's."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is None


def _recorder_of(launcher: int) -> int | None:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_recorder(entry) and _parent(entry) == launcher:
            return int(entry.name)
    return None


def _is_recorder(process: Path) -> bool:
    try:
        return os.path.basename(os.readlink(process / "exe")) == NAME
    except OSError:
        return False


def _parent(process: Path) -> int | None:
    return _status_field(process, "PPid:")


def _rss_anon(pid: int) -> int | None:
    kib = _status_field(Path("/proc") / str(pid), "RssAnon:")
    return None if kib is None else kib * 1024


def _status_field(process: Path, name: str) -> int | None:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), None)
