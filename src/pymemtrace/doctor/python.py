"""The interpreter and its allocator."""

import re

from pymemtrace.doctor.check import Check, Raw, Verdict
from pymemtrace.doctor.interpreter import Interpreter
from pymemtrace.doctor.machine import Machine

_OLDEST, _NEWEST = (3, 11), (3, 13)
# At the end of a line: the path, or the bare name, of a library that stands in for malloc.
_ALLOCATOR = re.compile(r"(?:/.*/)?lib(jemalloc|mimalloc|tcmalloc)[^/\s]*\.so[^/\s]*$")


def version(machine: Machine) -> Check:
    python = machine.interpreter
    supported = python.implementation == "cpython" and _OLDEST <= python.version_info <= _NEWEST
    verdict: Verdict = "ok" if supported else "bad"
    remedy = "" if supported else f"CPython {_text(_OLDEST)} to {_text(_NEWEST)}"
    raw = {"version": python.version, "implementation": python.implementation, "executable": python.executable}
    return Check("version", f"{python.implementation} {python.version}", python.executable, verdict, remedy, raw)


def build(machine: Machine) -> Check:
    python = machine.interpreter
    words = ["debug" if python.debug else "release"]
    if python.free_threaded:
        words.append("free-threaded")
    words.append("libpython shared" if python.shared else "libpython inside")
    value = f"{', '.join(words)}; {python.origin}, {python.prefix}"
    if python.environment:
        value += f", virtual environment {python.environment}"
    raw: dict[str, Raw] = {
        "debug": python.debug,
        "free_threaded": python.free_threaded,
        "shared": python.shared,
        "origin": python.origin,
        "prefix": python.prefix,
        "environment": python.environment,
    }
    if python.free_threaded:
        return Check("build", value, "tracing of free-threaded builds is not tested", "limited", raw=raw)
    return Check("build", value, raw=raw)


def allocator(machine: Machine) -> Check:
    """What Python objects come from, and what stands below it in place of the C library's malloc."""
    objects = _object_allocator(machine)
    maps = machine.read("proc/self/maps")
    loaded = _libraries((maps or "").splitlines())
    asked = _libraries(machine.environ.get("LD_PRELOAD", "").replace(":", " ").split())
    below = ", ".join(loaded.values()) or machine.interpreter.c_library or "the C library's malloc"
    raw: dict[str, Raw] = {"objects": objects, "libraries": list(loaded), "preload": list(asked)}
    missing = [path for name, path in asked.items() if name not in loaded]
    value = f"{objects} over {below}"
    if missing and maps is not None:
        note = f"LD_PRELOAD names {', '.join(missing)}, which is not loaded"
        return Check("allocator", value, note, "limited", "check the path and the architecture in LD_PRELOAD", raw)
    return Check("allocator", value, raw=raw)


def _object_allocator(machine: Machine) -> str:
    python = machine.interpreter
    chosen = "" if python.ignores_environment else machine.environ.get("PYTHONMALLOC", "")
    return chosen if chosen not in ("", "default") else _default_allocator(python)


def _default_allocator(python: Interpreter) -> str:
    name = "mimalloc" if python.free_threaded else "pymalloc" if python.pymalloc else "malloc"
    return f"{name}_debug" if python.debug or python.dev_mode else name


def _libraries(lines: list[str]) -> dict[str, str]:
    """The allocators among the paths at the ends of `lines`: name and path."""
    found = {}
    for line in lines:
        match = _ALLOCATOR.search(line)
        if match:
            found[match[1]] = match[0]
    return found


def _text(pair: tuple[int, int]) -> str:
    return ".".join(map(str, pair))
