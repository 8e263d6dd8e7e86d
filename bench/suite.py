"""The programs that are measured and what is promised about them. Read by compare.py and by the integration tests."""

from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent / "programs"
REQUIREMENTS = PROGRAMS.parent / "requirements.txt"

MIB = 1 << 20
KIB = 1 << 10


@dataclass(frozen=True)
class Program:
    """One script of bench/programs."""

    name: str
    real: bool = True  # counts for the geometric mean; else it has a target of its own
    deep: bool = False  # deep Python stacks: the target for bytes a fault holds

    @property
    def path(self) -> Path:
        return PROGRAMS / f"{self.name}.py"


@dataclass(frozen=True)
class Targets:
    """Upper limits. Ratios are times of the whole command over the bare program's."""

    geomean: float = 1.05
    each: float = 1.15
    fib: float = 1.02
    touch: float = 1.5
    threads: float = 1.10
    timer: float = 1.03  # the geometric mean with the timer engine
    startup_ms: float = 60.0
    fork_ms: float = 3.0  # added to each fork
    complete_ms: float = 200.0  # from the program's end to the trace's
    recorder_bytes: int = 16 * MIB
    recorder_growth: int = 64 * KIB  # bytes a second in the second half of a run: what still counts as flat
    tracer_bytes: int = 2 * MIB  # pages added to the traced process, and for each of its threads:
    tracer_thread_bytes: int = 64 * KIB
    bytes_per_fault: float = 24.0


TARGETS = Targets()


@dataclass(frozen=True)
class EventMode:
    """A way of recording events, and the upper limits of its ratios and of its bytes on disk."""

    name: str
    options: tuple[str, ...]
    geomean: float
    each: float
    fib: float
    bytes_per_event: float


EVENT_MODES = (
    EventMode("python calls", ("--calls", "--no-c-calls"), 1.20, 1.40, 2.8, 2.0),
    EventMode("with c calls", ("--calls",), 1.45, 1.90, 3.7, 2.0),
    EventMode("lines", ("--lines",), 2.0, 3.2, 4.0, 1.5),
)


@dataclass(frozen=True)
class SnapshotTargets:
    """Upper limits of what residency snapshots add: ratios of runs with them over runs without."""

    geomean: float = 1.02
    allocating: float = 1.05
    stall_ms: float = 5.0


SNAPSHOTS = SnapshotTargets()

EVENT_TRACER_BYTES = 4 * MIB  # added to the traced process, and for each thread:
EVENT_TRACER_THREAD_BYTES = 640 * KIB
EVENT_RECORDER_BYTES = 32 * MIB

_DEEP = {"black_format", "docutils_rst", "django_templates", "sqlglot_optimize", "sympy_algebra"}
_OWN_TARGET = {"fib": TARGETS.fib, "threads": TARGETS.threads, "touch": TARGETS.touch}


def programs() -> list[Program]:
    """Every program, by name; the real ones first."""
    names = sorted(path.stem for path in PROGRAMS.glob("[!_]*.py"))
    found = [Program(name, real=name not in _OWN_TARGET, deep=name in _DEEP) for name in names]
    return sorted(found, key=lambda program: not program.real)


def ratio_target(program: Program) -> float:
    """The limit of this program's ratio."""
    return TARGETS.each if program.real else _OWN_TARGET[program.name]
