"""What `--rss tracked` promises: the kept value of RSS against what RSS really is, at each event of the same run.

The word "rss-check" among the options of _boot.py has hooks read RSS at each event, beside the reading by the rules.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest
from lane_reader import Process, Recorder

from integration import harness

STALE = 20_000  # ns
SLACK = 1.05  # the clock is calibrated to some per cent
NO_EVENTS = ("fresh", "rss", "time", "stack", "frames", "code", "exception", "note", "lost")

STEPS = """
import mmap

def touch(memory, pages):
    for page in pages:
        memory[page * 4096] = 1
        noop()

def noop():
    pass

def wait(calls):
    for _ in range(calls):
        noop()

def step(pages, calls):
    memory = mmap.mmap(-1, 4096 * pages)
    touch(memory, range(pages))
    wait(calls)
    memory.close()
    wait(calls)

for i in range(400):
    step(1 + i % 7, i % 50)
"""


@dataclasses.dataclass
class Sample:
    """One event: ns since the first, pages; how many faults came before it."""

    time: float
    off: int  # what is really there beyond the kept value
    faults: int


def record(tmp_path: Path, code: str, options: str) -> Process:
    program = tmp_path / "program.py"
    program.write_text(code)
    with Recorder() as recorder:
        done = recorder.run(options, [str(program)])
        assert done.returncode == 0, done.stderr
    return recorder.processes[0]


def ns_per_tick(process: Process) -> float:
    """By the events just before the first fault that follows any, and the last one."""
    events = process.events()
    places = [event.at for event in events]
    faults = [(head, time) for (_, head, _), time in zip(process.faults, process.fault_times, strict=True) if head]
    ends = [(events[bisect.bisect_left(places, head) - 1].ticks, time) for head, time in (faults[0], faults[-1])]
    (ticks, time), (last_ticks, last_time) = ends
    return (last_time - time) / (last_ticks - ticks)


def samples(process: Process) -> list[Sample]:
    scale = ns_per_tick(process)
    heads = sorted(head for _, head, _ in process.faults)
    kept = fresh = 0
    result = []
    events = process.events()
    for event in events:
        if event.kind == "rss":
            kept = event.value
        elif event.kind == "fresh":
            fresh = event.value
        elif event.kind not in NO_EVENTS:
            time = (event.ticks - events[0].ticks) * scale
            result.append(Sample(time, fresh - kept, bisect.bisect_right(heads, event.at)))
    return result


def ages(found: list[Sample]) -> list[tuple[float, int]]:
    """Of each event at which the two differ: ns since the last one at which they did not, and by how much."""
    same = 0.0
    result = []
    for sample in found:
        if sample.off:
            result.append((sample.time - same, sample.off))
        else:
            same = sample.time
    return result


@pytest.mark.parametrize("mode", ["calls", "lines"])
def test_no_growth_is_missed_and_a_release_is_seen_within_the_band(tmp_path: Path, mode: str) -> None:
    harness.need_faults(harness.any_user())
    found = samples(record(tmp_path, STEPS, f"{mode},exact,rss-check"))
    differing = ages(found)
    print(
        json.dumps(
            {
                "events": len(found),
                "differing": len(differing),
                "oldest_ns": max((age for age, _ in differing), default=0),
                "pages": dict(sorted(Counter(sample.off for sample in found).items())),
            }
        )
    )
    assert len(found) > 20_000
    after_a_fault = [s.off for before, s in zip(found, found[1:], strict=False) if s.faults > before.faults]
    assert len(after_a_fault) > 1000
    assert not any(after_a_fault), Counter(after_a_fault)
    assert not [off for _, off in differing if off > 0], "growth that is not in the log"
    assert [off for _, off in differing if off < 0], "releases are seen at once: the test shows nothing"
    assert max(age for age, _ in differing) <= STALE * SLACK
