"""Where the checks look: files below a root folder, the environment, limits. Tests put made-up ones in their place."""

import os
import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pymemtrace.doctor.interpreter import Interpreter

_LIMITS = {
    "open files": resource.RLIMIT_NOFILE,
    "address space": resource.RLIMIT_AS,
    "file size": resource.RLIMIT_FSIZE,
}
_FIRST_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return ""


def _limits() -> dict[str, tuple[int | None, int | None]]:
    """Soft and hard limit by name; None: unlimited."""
    found = {}
    for name, number in _LIMITS.items():
        soft, hard = (None if value == resource.RLIM_INFINITY else value for value in resource.getrlimit(number))
        found[name] = (soft, hard)
    return found


@dataclass(frozen=True)
class Machine:
    """This machine as this process sees it."""

    root: str = "/"
    release: str = field(default_factory=lambda: os.uname().release)
    system: str = field(default_factory=lambda: os.uname().sysname)
    architecture: str = field(default_factory=lambda: os.uname().machine)
    user: int = field(default_factory=os.geteuid)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    limits: Mapping[str, tuple[int | None, int | None]] = field(default_factory=_limits)
    cpus: int | None = field(default_factory=os.cpu_count)
    folder: str = field(default_factory=_folder)  # where a trace would go
    interpreter: Interpreter = field(default_factory=Interpreter)

    def read(self, path: str) -> str | None:
        """A file's text, or None if it is not there or not for us. path: below the root, without a slash in front."""
        try:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    def read_number(self, path: str) -> int | None:
        """A file that holds one number."""
        return number(self.read(path))

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.root, path))

    @cached_property
    def status(self) -> Mapping[str, str]:
        """The fields of /proc/self/status."""
        lines = (self.read("proc/self/status") or "").splitlines()
        return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}

    @property
    def kernel(self) -> tuple[int, int] | None:
        """The first two numbers of the kernel's release; None: it does not begin with two."""
        found = _FIRST_NUMBERS.match(self.release)
        return (int(found[1]), int(found[2])) if found else None


def number(text: str | None, base: int = 10) -> int | None:
    """A whole number, or None for anything else."""
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None
