"""The container around this process: its kind as far as it shows, and the memory controller's numbers."""

import os
from dataclasses import dataclass

from pymemtrace.doctor.check import Check, Raw, Verdict, unknown
from pymemtrace.doctor.machine import Machine, number
from pymemtrace.report.units import share, size

# Words in the path of a cgroup, and who puts them there.
_CGROUP_WORDS = {"kubepods": "Kubernetes", "docker": "Docker", "libpod": "Podman", "lxc": "LXC"}
_NO_LIMIT = 1 << 60  # v1 writes "none" as a number near 2^63
_NEARLY_FULL = 0.9


@dataclass(frozen=True)
class Controller:
    """A version of the memory controller: its folder and its files."""

    version: str
    folder: str
    usage: str
    limit: str


_V1 = Controller("v1", "sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes")
_V2 = Controller("v2", "sys/fs/cgroup", "memory.current", "memory.max")


def signs(machine: Machine) -> dict[str, str]:
    """Kinds of container, each with the sign it was told by. Best effort: a container may hide all of them."""
    found = {}
    if machine.exists(".dockerenv"):
        found["Docker"] = "/.dockerenv"
    if machine.exists("run/.containerenv"):
        found["Podman"] = "/run/.containerenv"
    if machine.environ.get("KUBERNETES_SERVICE_HOST"):
        found["Kubernetes"] = "KUBERNETES_SERVICE_HOST"
    cgroups = machine.read("proc/self/cgroup") or ""
    for word, kind in _CGROUP_WORDS.items():
        if word in cgroups:
            found.setdefault(kind, "/proc/self/cgroup")
    name = machine.environ.get("container", "")
    if name and name.lower() not in {kind.lower() for kind in found}:
        found[name] = "the variable container"
    if not found and _root_is_overlay(machine):
        found["a container"] = "/ is an overlay"
    return found


def container(machine: Machine) -> Check:
    found = signs(machine)
    if not found:
        if machine.read("proc/self/mountinfo") is None:
            return unknown("container", {"kinds": []})
        return Check("container", "no sign of one", raw={"kinds": []})
    value = ", ".join(f"{kind} (by {sign})" for kind, sign in found.items())
    return Check("container", value, "sysctls are the host's", raw={"kinds": list(found)})


def cgroup(machine: Machine) -> Check:
    found = _find(machine)
    if found is None:
        return unknown("cgroup", {"version": None, "path": None})
    controller, path = found
    raw: dict[str, Raw] = {"version": controller.version, "path": path}
    return Check("cgroup", f"{controller.version}, {path}", raw=raw)


def memory(machine: Machine) -> Check:
    """The limit that the out-of-memory killer acts on, the lowest on the way up, and what is in use below it."""
    found = _find(machine)
    usage, limits = _numbers(machine, *found) if found else (None, [])
    if not limits:
        return unknown("memory limit", {"limit_bytes": None, "usage_bytes": usage})
    limit = min(limits)
    if limit >= _NO_LIMIT:
        note = "" if usage is None else f"{size(usage)} in use"
        return Check("memory limit", "none", note, raw={"limit_bytes": None, "usage_bytes": usage})
    verdict: Verdict = "ok"
    note = ""
    if usage is not None:
        note = f"{size(usage)} in use ({share(usage, limit)})"
        if usage > _NEARLY_FULL * limit:
            verdict = "limited"
            note += "; file pages count and can be dropped, else the out-of-memory killer is near"
    return Check("memory limit", size(limit), note, verdict, raw={"limit_bytes": limit, "usage_bytes": usage})


def _find(machine: Machine) -> tuple[Controller, str] | None:
    """The controller in charge and this process's path in it. v1 wins where both are mounted, as in the recorder."""
    found = None
    for line in (machine.read("proc/self/cgroup") or "").splitlines():
        _number, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if "memory" in controllers.split(","):
            return _V1, path
        if not controllers and path.startswith("/"):
            found = _V2, path
    return found


def _numbers(machine: Machine, controller: Controller, path: str) -> tuple[int | None, list[int]]:
    """Usage, and the limits from the process's cgroup up to the root; in a container the path may be the host's."""
    steps = [step for step in path.split("/") if step not in ("", ".", "..")]
    if machine.read(os.path.join(controller.folder, *steps, controller.usage)) is None:
        steps = []
    usage = machine.read_number(os.path.join(controller.folder, *steps, controller.usage))
    limits = []
    for depth in range(len(steps), -1, -1):
        text = machine.read(os.path.join(controller.folder, *steps[:depth], controller.limit))
        limit = _NO_LIMIT if text is not None and text.strip() == "max" else number(text)
        if limit is not None and limit >= 0:
            limits.append(limit)
    if not limits and usage is None and machine.exists(os.path.join(controller.folder, "cgroup.controllers")):
        limits = [_NO_LIMIT]  # the root cgroup of v2 has neither file
    return usage, limits


def _root_is_overlay(machine: Machine) -> bool:
    for line in (machine.read("proc/self/mountinfo") or "").splitlines():
        mount, _dash, system = line.partition(" - ")
        if mount.split()[4:5] == ["/"] and system.startswith("overlay "):
            return True
    return False
