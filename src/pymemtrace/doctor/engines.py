"""The engines, best first: what each gives, whether it works here, and what would unlock it. A new one is one row."""

from collections.abc import Callable
from dataclasses import dataclass

from pymemtrace.doctor import remedies
from pymemtrace.doctor.check import Remedy
from pymemtrace.doctor.machine import Machine
from pymemtrace.doctor.probe import Answer, probe


@dataclass(frozen=True)
class Engine:
    """An engine here. reason: why it does not work; note: what it leaves out where it does."""

    name: str
    gives: str
    available: bool
    reason: str = ""
    note: str = ""
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class _Row:
    name: str
    gives: str
    remedies: Callable[[Machine, Answer], tuple[Remedy, ...]]
    note: str = ""


_ROWS = (
    _Row(
        "faults",
        "each page fault, with its Python stack",
        remedies.of_faults,
        note="faults inside system calls send no signal: their bytes go by time",
    ),
    _Row("timer", "changes of RSS between clock ticks, given to the running stacks", remedies.of_timer),
)


def engines(machine: Machine) -> list[Engine]:
    """Try each engine."""
    return [_examine(row, machine, probe(row.name)) for row in _ROWS]


def _examine(row: _Row, machine: Machine, answer: Answer) -> Engine:
    if answer.works:
        return Engine(row.name, row.gives, True, note=row.note)
    return Engine(row.name, row.gives, False, answer.reason, remedies=row.remedies(machine, answer))
