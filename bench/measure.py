"""Takes the measurements: every program bare, bare again and traced, interleaved; the start-up; the traces."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from launch import Launcher, Run
from recorder_memory import RecorderMemory
from suite import PROGRAMS, EventMode, Program

STARTUP_ROUNDS = 20
MOMENT_ROUNDS = 5
FORKS = 1000  # of programs/_forks.py


@dataclass(frozen=True)
class TraceFacts:
    """One trace, as `pymemtrace info --json` tells it."""

    engine: str
    reason: str | None
    period: int  # the widest used
    faults: int
    records: int  # faults that stand in the file, each for `period` of them
    file_bytes: int
    tracer_bytes: int  # pages the tracer brought into the traced process
    threads: int
    rss_peak: int | None
    lost: int

    @property
    def bytes_per_record(self) -> float | None:
        return self.file_bytes / self.records if self.records else None


@dataclass
class Result:
    """The measurements of one program."""

    program: Program
    bare: list[Run] = field(default_factory=list)  # just before the traced run of the same round
    again: list[Run] = field(default_factory=list)  # just after it
    traced: list[Run] = field(default_factory=list)
    exact: list[Run] = field(default_factory=list)  # empty unless asked for
    trace: TraceFacts | None = None  # of the last traced run
    exact_trace: TraceFacts | None = None  # of a run of its own, with period 1 and the recorder watched
    recorder: RecorderMemory = field(default_factory=RecorderMemory)

    @property
    def bare_s(self) -> float:
        return best([*self.bare, *self.again])

    @property
    def ratios(self) -> list[float]:
        """Traced over the mean of its two bare neighbours, a round each: a drift of the machine cancels."""
        return over_neighbours(self, self.traced)

    @property
    def noise_ratios(self) -> list[float]:
        """Bare again over bare, a round each."""
        return [again.wall_s / bare.wall_s for bare, again in zip(self.bare, self.again, strict=True)]

    @property
    def best_ratio(self) -> float:
        return best(self.traced) / self.bare_s

    @property
    def exact_ratio(self) -> float | None:
        return median(over_neighbours(self, self.exact)) if self.exact else None

    def ratio_without(self, startup_s: float) -> float:
        """The median with the constant part, the start-up, taken off the traced command."""
        return median(self.ratios) - startup_s / self.bare_s


class Neighbours(Protocol):
    """Runs just before and just after those that are compared with them."""

    bare: list[Run]
    again: list[Run]


def over_neighbours(result: Neighbours, runs: list[Run]) -> list[float]:
    """Each run over the mean of the two bare ones of its round."""
    rounds = zip(runs, result.bare, result.again, strict=True)
    return [2 * run.wall_s / (bare.wall_s + again.wall_s) for run, bare, again in rounds]


@dataclass(frozen=True)
class Startup:
    """Wall time of an empty program, seconds."""

    bare_s: float
    again_s: float
    traced_s: float

    @property
    def added_s(self) -> float:
        return self.traced_s - self.bare_s

    @property
    def noise_s(self) -> float:
        return abs(self.again_s - self.bare_s)


def best(runs: list[Run]) -> float:
    """The shortest wall time, seconds."""
    return min(run.wall_s for run in runs)


@dataclass(frozen=True)
class Moments:
    """Costs that are no ratio, seconds, the median of some rounds."""

    fork_s: float  # added to each fork
    complete_s: float  # from the program's end to that of `run`


@dataclass(frozen=True)
class Bench:
    """How commands are run: interpreter, user, and a folder for traces."""

    python: str
    launcher: Launcher
    scale: str | None = None
    engine: str | None = None  # to ask for; None: the best

    @property
    def trace_path(self) -> Path:
        return Path(self.launcher.folder) / "bench.pmt"

    def bare(self, script: Path) -> list[str]:
        return [self.python, str(script), *([self.scale] if self.scale is not None else [])]

    def traced(self, script: Path, *options: str) -> list[str]:
        asked = ["--engine", self.engine] if self.engine else []
        return [*self.cli("run", "-q", "-f", "-o", str(self.trace_path), *asked, *options), *self.bare(script)[1:]]

    def bare_hooks(self, step: int, script: Path, mode: EventMode) -> list[str]:
        """Untraced, with hooks for the mode's events that do nothing (step 1) or the least of a log (6)."""
        lines, c_calls = "--lines" in mode.options, "--no-c-calls" not in mode.options
        runner = PROGRAMS / "_bare_hooks.py"
        return [self.python, str(runner), str(step), str(int(lines)), str(int(c_calls)), *self.bare(script)[1:]]

    def cli(self, *arguments: str) -> list[str]:
        return [self.python, "-m", "pymemtrace", *arguments]

    def startup(self) -> Startup:
        """Time an empty program, bare and traced."""
        script = Path(self.launcher.folder) / "empty.py"
        script.touch()
        result = Result(Program("empty"))
        self._interleave(result, script, STARTUP_ROUNDS, exact=False)
        return Startup(best(result.bare), best(result.again), best(result.traced))

    def moments(self) -> Moments:
        """Time what is no ratio."""
        forks, ending = PROGRAMS / "_forks.py", PROGRAMS / "_ending.py"
        added, after = [], []
        for _ in range(MOMENT_ROUNDS):
            bare = self.launcher.check(self.bare(forks)).wall_s
            added.append((self.launcher.check(self.traced(forks)).wall_s - bare) / FORKS)
            done = self.launcher.check(self.traced(ending))
            after.append(time.monotonic() - float(done.stdout))
        return Moments(median(added), median(after))

    def measure(self, program: Program, rounds: int, exact: bool) -> Result:
        """Measure one program, after one run that fills the caches."""
        result = Result(program)
        self.launcher.check(self.bare(program.path))
        self._interleave(result, program.path, rounds, exact)
        self.launcher.check(self.traced(program.path))
        result.trace = self._facts()
        if self.engine is None:
            self.launcher.check(self.traced(program.path, "--exact"), result.recorder.watch)
            result.exact_trace = self._facts()
        self.trace_path.unlink()
        return result

    def _interleave(self, result: Result, script: Path, rounds: int, exact: bool) -> None:
        """Run all variants in turn, the traced ones between two bare ones."""
        variants = [(result.bare, self.bare(script)), (result.traced, self.traced(script))]
        if exact:
            variants.append((result.exact, self.traced(script, "--exact")))
        variants.append((result.again, self.bare(script)))
        for _ in range(rounds):
            for runs, command in variants:
                runs.append(self.launcher.check(command))

    def _facts(self) -> TraceFacts:
        info = json.loads(self.launcher.check(self.cli("info", str(self.trace_path), "--json")).stdout)
        return trace_facts(info, os.path.getsize(self.trace_path))


def trace_facts(info: dict[str, Any], file_bytes: int) -> TraceFacts:
    """What the bench needs of the object of `info --json`."""
    processes = info["processes"]
    return TraceFacts(
        engine=info["engine"]["name"],
        reason=info["engine"]["reason"],
        period=info["engine"]["period"],
        faults=sum(process["faults"] for process in processes),
        records=info["file"]["fault_records"],
        file_bytes=file_bytes,
        tracer_bytes=sum(process["counters"].get("tracer_pages", 0) for process in processes) * info["page_size"],
        threads=max(1, len(info["by_thread"])),
        rss_peak=info["rss"]["peak"],
        lost=info["lost"],
    )
