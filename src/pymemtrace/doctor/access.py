"""What this process may do: the paranoid level, capabilities, seccomp, a debugger."""

from pymemtrace.doctor.check import Check, Raw, unknown
from pymemtrace.doctor.machine import Machine, number

PARANOID = "kernel.perf_event_paranoid"
PARANOID_MAX = 2  # the highest level at which a process may watch itself without privileges
_CAPABILITIES = {"CAP_PERFMON": 38, "CAP_SYS_ADMIN": 21, "CAP_SYS_PTRACE": 19}
_SECCOMP_MODES = {0: "none", 1: "strict", 2: "filter"}
_ALL_USERS = ["0", "0", "4294967295"]


def paranoid_level(machine: Machine) -> int | None:
    return machine.read_number("proc/sys/kernel/perf_event_paranoid")


def seccomp_mode(machine: Machine) -> int | None:
    return number(machine.status.get("Seccomp"))


def tracer(machine: Machine) -> int | None:
    """The debugger's pid; 0: none."""
    return number(machine.status.get("TracerPid"))


def effective(machine: Machine) -> list[str] | None:
    """Those of the effective capabilities that matter here."""
    mask = number(machine.status.get("CapEff"), 16)
    return None if mask is None else [name for name, bit in _CAPABILITIES.items() if mask >> bit & 1]


def in_user_namespace(machine: Machine) -> bool:
    """In a user namespace of its own (a rootless container) no capability counts for perf events."""
    words = (machine.read("proc/self/uid_map") or "").split()
    return bool(words) and words != _ALL_USERS


def may_watch_kernel(machine: Machine) -> bool:
    """The paranoid level does not apply to this process."""
    return bool({"CAP_PERFMON", "CAP_SYS_ADMIN"} & set(effective(machine) or ())) and not in_user_namespace(machine)


def paranoid(machine: Machine) -> Check:
    level = paranoid_level(machine)
    if level is None:
        return unknown(PARANOID, {"level": None}, "this kernel may have no perf events, or /proc is hidden")
    raw = {"level": level}
    if may_watch_kernel(machine):
        return Check(PARANOID, str(level), "does not apply to this process: it has the capability", raw=raw)
    if level > PARANOID_MAX:
        remedy = f"sudo sysctl {PARANOID}={PARANOID_MAX}"
        return Check(PARANOID, str(level), "refuses perf events to all without CAP_PERFMON", "bad", remedy, raw)
    return Check(PARANOID, str(level), "a process may watch itself", raw=raw)


def capabilities(machine: Machine) -> Check:
    found = effective(machine)
    if found is None:
        return unknown("capabilities", {"effective": None})
    namespace = in_user_namespace(machine)
    note = "held in a user namespace: they do not count for perf events" if namespace and found else ""
    raw: dict[str, Raw] = {"effective": found, "user_namespace": namespace}
    return Check("capabilities", ", ".join(found) or f"none of {', '.join(_CAPABILITIES)}", note, raw=raw)


def seccomp(machine: Machine) -> Check:
    mode = seccomp_mode(machine)
    if mode is None:
        return unknown("seccomp", {"mode": None})
    note = "may refuse perf_event_open; the engine faults, below, has been tried under it" if mode else ""
    return Check("seccomp", _SECCOMP_MODES.get(mode, f"mode {mode}"), note, raw={"mode": mode})


def debugger(machine: Machine) -> Check:
    pid = tracer(machine)
    if pid is None:
        return unknown("debugger", {"pid": None, "name": None})
    if pid == 0:
        return Check("debugger", "none", raw={"pid": None, "name": None})
    name = (machine.read(f"proc/{pid}/comm") or "").strip()
    note = "page-fault signals would stop in it, so they are not used"
    remedy = "end the debugger (gdb, strace) or trace without it"
    return Check("debugger", f"{pid} {name}".strip(), note, "bad", remedy, {"pid": pid, "name": name or None})
