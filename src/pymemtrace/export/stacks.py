"""Who holds what, by stack and thread: what collapsed stacks, speedscope and pprof are made of.

Bytes that no code owns (there before the start, of files, the kernel's, the tracer's) are stacks of one frame in
brackets, so that a profile adds up to RSS; only what is unexplained and negative is left out.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pymemtrace.report import facts, held, load
from pymemtrace.report.facts import UNKNOWN
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from pymemtrace._analysis import Stacks as Found
    from pymemtrace.export.formats import Request
    from pymemtrace.report.model import At, ProcessRow

ROOT = 0


class Frame(NamedTuple):
    """A function at a line. file "": a name in brackets, or native code of no known library; line 0: not known."""

    name: str
    file: str
    line: int
    first_line: int


class Thread(NamedTuple):
    """tid None: the whole process, where it is not known which thread."""

    pid: int
    tid: int | None
    name: str


class Sample(NamedTuple):
    """What belongs to a stack of a thread. Bytes, faults and ns."""

    node: int
    thread: Thread
    resident: int
    touched: int
    faults: int
    time_ns: int
    calls: int


@dataclass(slots=True)
class Stacks:
    """Stacks as a tree: each node a frame below its parent, parents first, node 0 the root without a frame."""

    trace: TraceFile
    frames: list[Frame] = field(default_factory=list)
    parents: list[int] = field(default_factory=lambda: [ROOT])
    frame_of: list[int] = field(default_factory=lambda: [-1])
    samples: list[Sample] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)  # in the trace's order
    _numbers: dict[Frame, int] = field(default_factory=dict)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def node(self, parent: int, frame: Frame) -> int:
        """The node of a frame below a parent."""
        number = self._numbers.get(frame)
        if number is None:
            number = self._numbers[frame] = len(self.frames)
            self.frames.append(frame)
        key = (parent, number)
        node = self._children.get(key)
        if node is None:
            node = self._children[key] = len(self.parents)
            self.parents.append(parent)
            self.frame_of.append(number)
        return node

    def path(self, node: int) -> list[int]:
        """The frames of a node's stack, the outermost first."""
        found = []
        while node != ROOT:
            found.append(self.frame_of[node])
            node = self.parents[node]
        found.reverse()
        return found


def read(request: "Request") -> Stacks:
    """The stacks of what is to be exported, memory alone. Raises as TraceFile."""
    path, pid = request.trace.path, request.trace.pid
    # Where it is asked what was touched, what was resident is told of the peak.
    trace = TraceFile(path, pid, "peak" if request.at is None else request.at)
    stacks = Stacks(trace)
    _add_owned(stacks, load.stacks(path, pid, held.moment(request.at)))
    for process in trace.processes:
        if pid in (None, process.pid):
            _add_rest(stacks, process)
    return stacks


def _add_owned(stacks: Stacks, found: "Found") -> None:
    from pymemtrace.report.symbols import Symbols

    processes, symbols = stacks.trace.result["processes"], Symbols()
    frames = [Frame(name or UNKNOWN, file or UNKNOWN, line, first) for file, line, name, first in found["frames"]]
    stacks.threads = [
        Thread(processes[process]["pid"] if process < len(processes) else 0, tid, name)
        for process, tid, name in found["threads"]
    ]
    nodes = [ROOT]
    for parent, number in found["nodes"][1:]:
        nodes.append(stacks.node(nodes[parent], frames[number]))
    native: dict[tuple[str, int], Frame] = {}
    for node, thread, path, offset, resident, touched, faults in found["owners"]:
        if not (resident or touched or faults):
            continue
        at = nodes[node]
        if at == ROOT:
            frame = native.get((path, offset))
            if frame is None:
                symbol = symbols.find(path, offset) if path else None
                frame = native[path, offset] = Frame(facts.native_name(path, symbol), path, 0, 0)
            at = stacks.node(ROOT, frame)
        stacks.samples.append(Sample(at, stacks.threads[thread], resident, touched, faults, 0, 0))


def _add_rest(stacks: Stacks, process: "ProcessRow") -> None:
    """What no code owns, of one process."""
    page = stacks.trace.result["page_size"]
    touched = {"kernel": process.counters.get("unowned_pages", 0) * page}
    touched["tracer"] = process.counters.get("tracer_pages", 0) * page
    resident = _not_owned(process.at)
    thread = Thread(process.pid, None, "")
    for name in dict.fromkeys((*resident, *touched)):
        sizes = max(resident.get(name, 0), 0), max(touched.get(name, 0), 0)
        if any(sizes):
            node = stacks.node(ROOT, Frame(f"[{name}]", "", 0, 0))
            stacks.samples.append(Sample(node, thread, *sizes, 0, 0, 0))


def _not_owned(at: "At | None") -> dict[str, int]:
    if at is None:
        return {}
    return {
        "before the start": at.before_start,
        "files": at.file,
        "shared memory": at.shared,
        "kernel": at.kernel,
        "tracer": at.tracer,
        "unexplained": at.unexplained,
    }


def add_time(stacks: Stacks) -> None:
    """Add the time of each stack of functions of a thread, of a trace with calls. A frame's line is then the function's
    first one."""
    found = load.call_tree(stacks.trace.path, stacks.trace.pid, by_thread=True)["nodes"]
    own = [row[5] for row in found]
    for parent, _file, _first, _name, _calls, time_ns, *_sizes in found[1:]:
        own[parent] -= time_ns
    nodes, thread_of = [ROOT], [Thread(0, None, "")]
    for number, (parent, file, first, name, calls, *_sums) in enumerate(found[1:], 1):
        if parent == 0:
            nodes.append(ROOT)
            thread_of.append(stacks.threads[first] if first < len(stacks.threads) else thread_of[0])
            continue
        nodes.append(stacks.node(nodes[parent], Frame(name or UNKNOWN, file or UNKNOWN, first, first)))
        thread_of.append(thread_of[parent])
        if own[number] > 0 or calls:
            stacks.samples.append(Sample(nodes[-1], thread_of[-1], 0, 0, 0, max(own[number], 0), calls))


def several_processes(stacks: Stacks) -> bool:
    """Whether samples are of more than one process."""
    return len({sample.thread.pid for sample in stacks.samples}) > 1
