"""Turns the C analysis (see _analysis.pyi) into a report's rows.

Stacks without a Python frame become rows too: native code, by library and nearest symbol. So the sum of self over
the rows by line (or by function, module or file), the kernel's and the tracer's pages is the total, exactly.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from pymemtrace.report import facts, model
from pymemtrace.report.facts import UNKNOWN

if TYPE_CHECKING:
    from pymemtrace._analysis import Process, Result


NOT_TRACED = "it is not Python, or was started in a way that could not be followed"
_SOON_NS = 20_000_000  # two of the recorder's regular looks at memory


class FindsSymbols(Protocol):
    """Names the native code at a byte offset of a file; None: no name known."""

    def find(self, path: str, offset: int) -> str | None: ...


class Native(NamedTuple):
    """Native code without a Python frame: one library's symbol. Its total is its self."""

    file: str
    function: str
    bytes: int
    faults: int
    by_time: int
    fill: int

    @property
    def costs(self) -> tuple[int, int, int, int, int]:
        """As the other rows have them: self, total, faults, by_time, fill."""
        return self.bytes, self.bytes, self.faults, self.by_time, self.fill


def native_rows(result: "Result", symbols: FindsSymbols | None) -> list[Native]:
    """The stacks without a Python frame, merged by file and function; `symbols` None: by file alone."""
    sums: dict[tuple[str, str], list[int]] = {}
    for path, offset, *costs in result["native"]:
        symbol = symbols.find(path, offset) if symbols is not None and path else None
        _add(sums.setdefault((path or UNKNOWN, facts.native_name(path, symbol)), [0] * 4), costs)
    return [Native(file, function, *values) for (file, function), values in sums.items()]


def line_rows(result: "Result", native: Iterable[Native]) -> list[model.LineRow]:
    """Rows by line, the most self bytes first."""
    rows = [model.LineRow(n.file, None, n.function, *n.costs) for n in native]
    for frame, self_bytes, total, faults, by_time, fill in result["lines"]:
        file, line, function, first = result["frames"][frame]
        place = file or UNKNOWN, line or None, function or UNKNOWN
        rows.append(model.LineRow(*place, self_bytes, total, faults, by_time, fill, first or None))
    rows.sort(key=lambda r: (-r.self_bytes, -r.total_bytes, r.file, r.line or 0, r.function))
    return rows


def function_rows(result: "Result", native: Iterable[Native]) -> list[model.FunctionRow]:
    """Rows by function, the most self bytes first."""
    rows = [model.FunctionRow(n.file, None, n.function, *n.costs) for n in native]
    for file, first, function, *costs in result["functions"]:
        rows.append(model.FunctionRow(file or UNKNOWN, first or None, function or UNKNOWN, *costs))
    rows.sort(key=lambda r: (-r.self_bytes, -r.total_bytes, r.file, r.first_line or 0, r.function))
    return rows


class NamesModules(Protocol):
    """Gives a file's module name."""

    def __call__(self, file: str) -> str: ...


def module_rows(result: "Result", names: NamesModules) -> list[model.ModuleRow]:
    """Rows by file, named as modules; a library's native code is one row."""
    sums: dict[tuple[str, str], list[int]] = {}
    for file, *costs in result["files"]:
        key = (names(file), file or UNKNOWN)
        _add(sums.setdefault(key, [0] * 5), costs)
    for n in native_rows(result, None):
        key = (UNKNOWN if n.file == UNKNOWN else n.function, n.file)
        _add(sums.setdefault(key, [0] * 5), n.costs)
    rows = [model.ModuleRow(module, file, *values) for (module, file), values in sums.items()]
    rows.sort(key=lambda r: (-r.self_bytes, -r.total_bytes, r.module, r.file))
    return rows


def file_rows(result: "Result") -> list[model.FileRow]:
    """Rows by file, the most self bytes first; native code is its library's, and of no known library together with
    Python code of no known file."""
    sums: dict[str, list[int]] = {}
    for file, *costs in result["files"]:
        _add(sums.setdefault(file or UNKNOWN, [0] * 5), costs)
    for n in native_rows(result, None):
        _add(sums.setdefault(n.file, [0] * 5), n.costs)
    rows = [model.FileRow(file, *values) for file, values in sums.items()]
    rows.sort(key=lambda r: (-r.self_bytes, -r.total_bytes, r.file))
    return rows


def thread_rows(result: "Result", pid: int | None = None) -> list[model.ThreadRow]:
    """Rows by thread (of the process), the most bytes first."""
    processes = result["processes"]
    rows = [
        model.ThreadRow(processes[process]["pid"], tid, name, *costs)
        for process, tid, name, *costs in result["threads"]
        if pid in (None, processes[process]["pid"])
    ]
    rows.sort(key=lambda r: (-r.bytes, r.pid, r.tid, r.name))
    return rows


def tree_nodes(result: "Result") -> list[model.TreeNode]:
    """The call tree as a flat list, parents before children, node 0 the root."""
    frames = result["frames"]
    nodes = []
    for number, (parent, frame, self_bytes, total, faults) in enumerate(result["tree"]):
        above = None if number == 0 else parent
        if frame < 0:
            function = "[root]" if number == 0 else "[no Python frame]"
            nodes.append(model.TreeNode(number, above, None, None, function, self_bytes, total, faults))
            continue
        file, line, name, _first = frames[frame]
        nodes.append(
            model.TreeNode(number, above, file or UNKNOWN, line or None, name or UNKNOWN, self_bytes, total, faults)
        )
    return nodes


def end(result: "Result", process: "Process | None") -> model.End:
    """How a process ended."""
    kind, value = facts.end_of(result, process)
    return model.End(cast(model.EndKind, kind), value)


def rss(images: "list[Process]") -> model.Rss:
    """The resident set size of a process, or of all images of one; a peak of 0 means that nothing was ever read."""
    if not images:
        return model.Rss(None, None, None)
    first, last = images[0], images[-1]
    peak = max(image["rss_peak"] for image in images) or None
    ended = last["end"]
    soon = ended is not None and ended[2] - first["start_ns"] < _SOON_NS and "engine" not in first["meta"]
    return model.Rss(first["rss_start"], peak, last["rss_end"], soon and peak is not None)


def process_row(result: "Result", process: "Process", at: model.At | None = None) -> model.ProcessRow:
    """A process's facts."""
    ended = process["end"]
    traced = "engine" in process["meta"]
    engine = process["meta"].get("engine", "none")
    reason = process["meta"].get("engine_reason") or (None if traced else NOT_TRACED)
    return model.ProcessRow(
        command=facts.process_command(result, process),
        traced=traced,
        pid=process["pid"],
        parent=process["parent"],
        start_ns=process["start_ns"],
        end=end(result, process),
        end_ns=ended[2] if ended else None,
        rss=rss([process]),
        touched=process["touched"],
        faults=process["faults"],
        engine=model.Engine(engine, reason, process["period"], process["period_changes"]),
        meta=dict(process["meta"]),
        counters=dict(process["counters"]),
        at=at,
    )


def _add(sums: list[int], values: Iterable[int]) -> None:
    for at, value in enumerate(values):
        sums[at] += value
