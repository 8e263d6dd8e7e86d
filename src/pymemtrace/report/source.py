"""The source of a traced program, as it stands on the disk now."""

import os
import tokenize
from typing import NamedTuple

_LIMIT = 16 << 20  # bytes of a file


class Source(NamedTuple):
    """The lines of a file, and whether it has changed since the trace began: they need not be those that ran."""

    lines: list[str]
    changed: bool


def read(path: str, started: float) -> Source | None:
    """The source at an absolute path; None if it cannot be read as such. started: seconds since the epoch."""
    try:
        status = os.stat(path)
        if status.st_size > _LIMIT or not os.path.isfile(path) or not path.startswith("/"):
            return None
        with tokenize.open(path) as file:
            return Source(file.read().splitlines(), status.st_mtime > started)
    except (OSError, SyntaxError, ValueError):
        return None
