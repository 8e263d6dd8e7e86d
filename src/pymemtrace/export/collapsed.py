"""Collapsed stacks: `frame;frame;frame bytes`, a line a stack, as flamegraph.pl and its many relatives read them.

Frames are "function (file:line)". Where there are several processes the outermost frame is the process. Bytes are those
resident at the moment, or touched.
"""

from typing import TYPE_CHECKING

from pymemtrace.export import stacks as stack_tree
from pymemtrace.report import header
from pymemtrace.report.text import label, location

if TYPE_CHECKING:
    from pymemtrace.export.formats import Request
    from pymemtrace.export.output import Output
    from pymemtrace.export.stacks import Frame, Stacks
    from pymemtrace.report.text import Shortener


def write(request: "Request", out: "Output") -> None:
    """Write a line for each stack that has bytes, in the order of the tree."""
    stacks = stack_tree.read(request)
    names = _names(stacks, header.shortener(stacks.trace, request.full_paths))
    processes = stack_tree.several_processes(stacks)
    sums: dict[tuple[int, int], int] = {}
    for sample in stacks.samples:
        key = (sample.thread.pid if processes else 0, sample.node)
        sums[key] = sums.get(key, 0) + (sample.touched if request.at is None else sample.resident)
    for (pid, node), size in sorted(sums.items()):
        if size <= 0:
            continue
        frames = [names[frame] for frame in stacks.path(node)]
        line = ";".join([f"process {pid}", *frames] if processes else frames)
        out.write(f"{line} {size}\n".encode("utf-8", "backslashreplace"))


def _names(stacks: "Stacks", shorten: "Shortener") -> list[str]:
    return [_name(frame, shorten) for frame in stacks.frames]


def _name(frame: "Frame", shorten: "Shortener") -> str:
    """A frame without what separates frames, lines and the number: the format knows no quotes."""
    place = f" ({location(label(shorten(frame.file)), frame.line)})" if frame.line else ""
    return f"{label(frame.name)}{place}".replace(";", ":")
