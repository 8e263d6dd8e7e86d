"""The frames of a page: each once, with the names that are shown."""

from typing import TYPE_CHECKING

from pymemtrace.report import facts, modules
from pymemtrace.report.facts import UNKNOWN
from pymemtrace.report.symbols import Symbols
from pymemtrace.report.text import Shortener, clip

if TYPE_CHECKING:
    from pymemtrace._analysis import Result

NAME_LIMIT = 300  # a name of a megabyte must not make the page


class Frames:
    """Numbers frames in the order in which they are asked for.

    rows: file (shortened), line (0: not known), function, module. files: of each shortened name the whole one.
    """

    def __init__(self, result: "Result") -> None:
        self.rows: list[tuple[str, int, str, str]] = []
        self.files: dict[str, str] = {}
        self._numbers: dict[tuple[str, int, str], int] = {}
        self._shorten = Shortener(facts.folders(result))
        self._module = modules.names_of(result)
        self._symbols = Symbols()

    def number(self, file: str, line: int, function: str) -> int:
        """A Python function at a line."""
        return self._number(file, line, function, self._module(file))

    def native(self, path: str, offset: int) -> int:
        """Native code at an offset in a file."""
        name = facts.native_name(path, self._symbols.find(path, offset) if path else None)
        return self._number(path, 0, name, facts.native_name(path, None))

    def file(self, path: str) -> str:
        """A file's name as it is shown; two files never have one name."""
        short = clip(self._shorten(path) or UNKNOWN, NAME_LIMIT)
        return short if self.files.setdefault(short, path) == path else clip(path, NAME_LIMIT)

    def _number(self, file: str, line: int, function: str, module: str) -> int:
        key = (file, line, function)
        if key not in self._numbers:
            self._numbers[key] = len(self.rows)
            row = (self.file(file), line, clip(function or UNKNOWN, NAME_LIMIT), clip(module, NAME_LIMIT))
            self.rows.append(row)
        return self._numbers[key]
