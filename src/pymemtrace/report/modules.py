"""From a code object's file to the dotted name of its module, without importing anything.

The trace has no module names (code objects have none), so they are worked out from the recorded sys.path.
"""

import os.path

from pymemtrace.report.facts import UNKNOWN, split_meta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace._analysis import Result

_FROZEN = "<frozen "


class ModuleNames:
    """Names modules for one trace.

    entries: folders of sys.path ("": the working directory); command: the traced program and its arguments; cwd: its
    working directory, against which relative names are resolved.
    """

    def __init__(self, entries: list[str], command: list[str], cwd: str) -> None:
        self._cwd = cwd
        # The root folder would turn every path into a dotted name.
        folders = {self._absolute(entry).rstrip("/") + "/" for entry in entries} - {"/"}
        self._folders = sorted(folders, key=lambda folder: (-len(folder), folder))
        self._main_module = command[1] if len(command) > 1 and command[0] == "-m" else None
        self._main_file = _main_file(command)

    def __call__(self, file: str) -> str:
        """The module of code whose co_filename is `file`."""
        if not file or file == UNKNOWN:
            return UNKNOWN
        if file.startswith(_FROZEN):
            return file[len(_FROZEN) :].rstrip(">")
        if self._main_file is not None and file == self._main_file:
            return "__main__"
        if file.startswith("<"):
            return file
        path = self._absolute(file)
        if self._main_file is not None and path == self._absolute(self._main_file):
            return "__main__"
        name = self._dotted(path) or _stem(path)
        return "__main__" if self._is_main(name, path) else name

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._cwd, path))

    def _dotted(self, path: str) -> str | None:
        for folder in self._folders:
            if path.startswith(folder):
                parts = os.path.splitext(path[len(folder) :])[0].split("/")
                if parts[-1] == "__init__" and len(parts) > 1:
                    parts.pop()
                # A folder such as site-packages below another entry is no package.
                return ".".join(parts) if all(part.isidentifier() for part in parts) else None
        return None

    def _is_main(self, name: str, path: str) -> bool:
        """Whether `python -m NAME` runs this module as __main__."""
        if self._main_module is None or os.path.basename(path) == "__init__.py":
            return False
        return name in (self._main_module, self._main_module + ".__main__")


def names_of(result: "Result") -> ModuleNames:
    """The names for a trace, from what it recorded about its processes."""
    entries = [entry for process in result["processes"] for entry in split_meta(process["meta"].get("sys_path", ""))]
    meta = result["meta"]
    return ModuleNames(entries, split_meta(meta.get("command", "")), meta.get("cwd", ""))


def _main_file(command: list[str]) -> str | None:
    if not command or command[0] == "-m":
        return None
    return "<string>" if command[0] == "-c" else command[0]


def _stem(path: str) -> str:
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    if stem == "__init__" and os.path.basename(folder):
        return os.path.basename(folder)
    return stem or path
