"""All checks and engines together. A new check is a function from Machine to Check, named here once."""

from collections.abc import Callable
from dataclasses import dataclass

from pymemtrace.doctor import access, container, kernel, limits, python
from pymemtrace.doctor.check import Check
from pymemtrace.doctor.engines import Engine, engines
from pymemtrace.doctor.machine import Machine

Provider = Callable[[Machine], Check]

SECTIONS: dict[str, tuple[Provider, ...]] = {
    "kernel": (kernel.release, kernel.rss_exactness, kernel.pagemap_scan, kernel.huge_pages),
    "permissions": (access.paranoid, access.capabilities, access.seccomp, access.debugger),
    "container": (container.container, container.cgroup, container.memory),
    "python": (python.version, python.build, python.allocator),
    "limits": (limits.open_files, limits.address_space, limits.file_size, limits.disk),
}


@dataclass(frozen=True)
class Diagnosis:
    """What was found. sections: the checks by subject."""

    machine: Machine
    sections: dict[str, list[Check]]
    engines: list[Engine]

    @property
    def engine(self) -> str | None:
        """The engine that a run uses here: the first that works."""
        return next((engine.name for engine in self.engines if engine.available), None)


def diagnose(machine: Machine | None = None) -> Diagnosis:
    """Look at everything; takes about 100 ms, most of it the interpreter of the child."""
    machine = Machine() if machine is None else machine
    sections = {title: [check(machine) for check in checks] for title, checks in SECTIONS.items()}
    return Diagnosis(machine, sections, engines(machine))
