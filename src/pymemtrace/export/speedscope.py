"""speedscope's JSON: one profile a quantity and thread. https://www.speedscope.app/file-format-schema.json

Profiles are of the kind "evented", which says a tree of calls once, however deep: a frame opens at the sum of all
bytes before it and closes at the sum with its own.
"""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pymemtrace
from pymemtrace.export import stacks as stack_tree
from pymemtrace.export.stacks import ROOT
from pymemtrace.report import header
from pymemtrace.report.text import clean

if TYPE_CHECKING:
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output
    from pymemtrace.export.stacks import Sample, Stacks, Thread

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
# Profiles of single threads: more would only make the list of them too long to read.
_THREADS_MAX = 50


def write(request: "Request", out: "Output") -> None:
    """Write all profiles; the one shown first is of what was asked for."""
    stacks = stack_tree.read(request)
    if stacks.trace.has_events:
        stack_tree.add_time(stacks)
    for text in _document(stacks, request):
        out.write(text.encode())


def _document(stacks: "Stacks", request: "Request") -> Iterator[str]:
    profiles = list(_profiles(stacks, request))
    frames = [_frame(frame.name, frame.file, frame.line) for frame in stacks.frames]
    head = {
        "$schema": _SCHEMA,
        "exporter": f"pymemtrace@{pymemtrace.__version__}",
        "name": header.command_text(stacks.trace.command),
        "activeProfileIndex": 0,
    }
    yield json.dumps(head)[:-1]
    yield ',\n"shared": {"frames": [\n' + ",\n".join(frames) + ']},\n"profiles": ['
    for number, (name, unit, own) in enumerate(profiles):
        yield ",\n" if number else "\n"
        yield from _profile(stacks, name, unit, own)
    yield "\n]}\n"


def _frame(name: str, file: str, line: int) -> str:
    found: dict[str, str | int] = {"name": clean(name)}
    if file:
        found["file"] = clean(file)
    if line:
        found["line"] = line
    return json.dumps(found)


def _profiles(stacks: "Stacks", request: "Request") -> Iterator[tuple[str, str, dict[int, int]]]:
    """Name, unit and what each node has itself: what was asked for first; of all threads, then of each."""
    quantities: list[tuple[str, str, Callable[[Sample], int]]] = [
        (f"resident at {_when(request)}", "bytes", lambda sample: sample.resident),
        ("touched", "bytes", lambda sample: sample.touched),
        ("time", "nanoseconds", lambda sample: sample.time_ns),
    ]
    if request.at is None:
        quantities[:2] = quantities[1::-1]
    for name, unit, value in quantities:
        threads = _by_thread(stacks, value)
        together: dict[int, int] = {}
        for own in threads.values():
            for node, count in own.items():
                together[node] = together.get(node, 0) + count
        if together or unit == "bytes":
            yield name, unit, together
        if len(threads) > 1:
            largest = sorted(threads, key=lambda t: (-sum(threads[t].values()), t.pid, t.tid or 0, t.name))
            yield from ((f"{name}, {_thread(t)}", unit, threads[t]) for t in largest[:_THREADS_MAX])


def _by_thread(stacks: "Stacks", value: "Callable[[Sample], int]") -> "dict[Thread, dict[int, int]]":
    threads: dict[Thread, dict[int, int]] = {}
    for sample in stacks.samples:
        count = value(sample)
        if count > 0:
            own = threads.setdefault(sample.thread, {})
            own[sample.node] = own.get(sample.node, 0) + count
    return threads


def _when(request: "Request") -> str:
    at = "peak" if request.at is None else request.at
    return f"{at:g} s" if isinstance(at, float) else at


def _thread(thread: "Thread") -> str:
    if thread.tid is None:
        return f"what no code owns of process {thread.pid}"
    return f"thread {thread.tid}" + (f" {clean(thread.name)}" if thread.name else "") + f" of process {thread.pid}"


def _profile(stacks: "Stacks", name: str, unit: str, own: dict[int, int]) -> Iterator[str]:
    head = {"type": "evented", "name": name, "unit": unit, "startValue": 0, "endValue": sum(own.values())}
    yield json.dumps(head)[:-1] + ', "events": ['
    separator = ""
    for kind, frame, at in _events(stacks, own):
        yield f'{separator}{{"type":"{kind}","frame":{frame},"at":{at}}}'
        separator = ",\n"
    yield "]}"


def _totals(stacks: "Stacks", own: dict[int, int]) -> dict[int, int]:
    """What each node has with all below it, of those that have something."""
    total: dict[int, int] = {}
    for node in own:
        while node != ROOT and node not in total:
            total[node] = own.get(node, 0)
            node = stacks.parents[node]
    for node in sorted(total, reverse=True):  # children before their parents
        parent = stacks.parents[node]
        if parent != ROOT:
            total[parent] += total[node]
    return total


def _events(stacks: "Stacks", own: dict[int, int]) -> Iterator[tuple[str, int, int]]:
    """Opening and closing of each frame, the largest first: kind, frame, sum."""
    total = _totals(stacks, own)
    children: dict[int, list[int]] = {}
    for node in sorted(total, key=lambda node: (total[node], -node)):  # for a stack: what is popped first comes last
        children.setdefault(stacks.parents[node], []).append(node)
    at = 0
    waiting = [(node, True) for node in children.get(ROOT, ())]
    while waiting:
        node, opens = waiting.pop()
        frame = stacks.frame_of[node]
        if not opens:
            yield "C", frame, at
            continue
        yield "O", frame, at
        at += own.get(node, 0)
        waiting.append((node, False))
        waiting += [(child, True) for child in children.get(node, ())]
