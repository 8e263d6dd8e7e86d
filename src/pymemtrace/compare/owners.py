"""The owners of memory in a trace, under names that mean the same in another one.

Paths differ between checkouts and interpreters, so an owner is named by its module, which the trace's own sys.path
tells, and its qualified name. Threads are told by their names. Where a line stands in its function is up to `diff`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymemtrace.report import facts, modules

if TYPE_CHECKING:
    from pymemtrace.tracefile import TraceFile

KINDS = ("line", "function", "module", "thread")

# Of a line (module, function, its first line, line), then (module, function), (module,), (a thread's name,)
Key = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns memory. name: of the function, the module or the thread. file: "" of threads; line: the first one of a
    function."""

    kind: str  # of KINDS
    name: str
    module: str
    file: str = ""
    line: int | None = None


@dataclass(slots=True)
class Share:
    """What an owner has in one trace."""

    owner: Owner
    bytes: int


def is_native(file: str, function: str) -> bool:
    """Whether a row is native code that ran without a Python frame."""
    if function == facts.NATIVE_UNKNOWN:
        return True
    return bool(file) and function.startswith((f"<{file.rpartition('/')[2]}>", f"<{file.rpartition('/')[2]}:"))


class Names:
    """Names code of one trace as other traces would."""

    def __init__(self, trace: "TraceFile") -> None:
        self._modules = modules.names_of(trace.result)
        self._frames = trace.result["frames"]
        self._cache: dict[str, str] = {}

    def module(self, file: str, function: str = "") -> str:
        """The module of a row; of native code its library, in angle brackets as in the table of modules."""
        if function and is_native(file, function):
            return facts.native_name(file if file != facts.UNKNOWN else "", None)
        name = self._cache.get(file)
        if name is None:
            name = self._cache[file] = self._modules(file)
        return name

    def frame(self, kind: str, number: int) -> Key | None:
        """The owner of a kind that a frame of the call tree belongs to; None: no Python frame."""
        if number < 0:
            return None
        file, line, function, first = self._frames[number]
        file, function = file or facts.UNKNOWN, function or facts.UNKNOWN
        module = self.module(file, function if kind != "module" else "")
        if kind == "line":
            return module, function, first or None, line or None
        return (module, function) if kind == "function" else (module,)


def shares(trace: "TraceFile", kind: str, total: bool = False) -> dict[Key, Share]:
    """What each owner of a kind has: itself or, with `total`, with all that it called (threads call nothing).

    Rows of one name are one owner, shown where the largest of them is.
    """
    names = Names(trace)
    found: dict[Key, Share] = {}
    for key, owner, size in _ROWS[kind](trace, names):
        if key in found:
            found[key].bytes += size
        else:
            found[key] = Share(owner, size)
    if total and kind != "thread":
        for key, size in totals(trace, lambda number: names.frame(kind, number)).items():
            if key in found:
                found[key].bytes = size
    return found


def _lines(trace: "TraceFile", names: Names) -> Iterator[tuple[Key, Owner, int]]:
    for r in trace.by_line:
        module = names.module(r.file, r.function)
        key = module, r.function, r.first_line, r.line
        yield key, Owner("line", r.function, module, r.file, r.line), r.self_bytes


def _functions(trace: "TraceFile", names: Names) -> Iterator[tuple[Key, Owner, int]]:
    for r in trace.by_function:
        module = names.module(r.file, r.function)
        yield (module, r.function), Owner("function", r.function, module, r.file, r.first_line), r.self_bytes


def _modules(trace: "TraceFile", _names: Names) -> Iterator[tuple[Key, Owner, int]]:
    for r in trace.by_module:
        yield (r.module,), Owner("module", r.module, r.module, r.file), r.self_bytes


def _threads(trace: "TraceFile", _names: Names) -> Iterator[tuple[Key, Owner, int]]:
    for r in trace.by_thread:
        yield (r.name,), Owner("thread", r.name, ""), r.bytes


_ROWS: dict[str, Callable[["TraceFile", Names], Iterator[tuple[Key, Owner, int]]]] = {
    "line": _lines,
    "function": _functions,
    "module": _modules,
    "thread": _threads,
}


def totals(trace: "TraceFile", name: Callable[[int], Key | None]) -> dict[Key, int]:
    """Bytes of each owner with all that it called, from the call tree; an owner inside itself counts once.

    name: from a frame's number to its owner, None for what has none.
    """
    tree = trace.result["tree"]
    children: list[list[int]] = [[] for _ in tree]
    for number, (parent, *_rest) in enumerate(tree):
        if number:
            children[parent].append(number)
    keys: dict[int, Key | None] = {}
    open_now: dict[Key, int] = {}
    found: dict[Key, int] = {}
    stack = [0] if tree else []
    while stack:
        number = stack.pop()
        if number < 0:  # all below this node is done
            closed = keys[tree[~number][1]]
            if closed is not None:
                open_now[closed] -= 1
            continue
        _parent, frame, _self, total, _faults = tree[number]
        if frame not in keys:
            keys[frame] = name(frame)
        key = keys[frame]
        if key is not None:
            if not open_now.get(key):
                found[key] = found.get(key, 0) + total
            open_now[key] = open_now.get(key, 0) + 1
            stack.append(~number)
        stack += children[number]
    return found
