"""What a trace may run into: resource limits and the disk."""

import os

from pymemtrace.doctor.check import Check, Raw, unknown
from pymemtrace.doctor.machine import Machine, number
from pymemtrace.report.units import size

_FILES_NEEDED = 16  # open at once while tracing starts, with those of a small program
_ADDRESS_SPACE = 110 << 20  # reserved in the program for 1,024 threads; address space, not memory
_LITTLE_DISK = 100 << 20
_FAULT_BYTES = 22  # in the file, docs/overhead.md


def open_files(machine: Machine) -> Check:
    soft, hard = machine.limits["open files"]
    raw: dict[str, Raw] = {"soft": soft, "hard": hard}
    if soft is not None and soft < _FILES_NEEDED:
        note = f"tracing needs {_FILES_NEEDED} to start"
        return Check("open files", str(soft), note, "bad", "ulimit -n 64", raw)
    return Check("open files", "unlimited" if soft is None else str(soft), raw=raw)


def address_space(machine: Machine) -> Check:
    soft, hard = machine.limits["address space"]
    raw: dict[str, Raw] = {"soft": soft, "hard": hard}
    if soft is None:
        return Check("address space", "unlimited", raw=raw)
    note = f"tracing reserves {size(_ADDRESS_SPACE)} of it"
    in_use = number(machine.status.get("VmSize", "").removesuffix("kB")) or 0
    if soft < _ADDRESS_SPACE + in_use * 1024:
        note += ", more than a small program leaves: nothing would be recorded"
        return Check("address space", size(soft), note, "bad", "ulimit -v unlimited", raw)
    return Check("address space", size(soft), note, raw=raw)


def file_size(machine: Machine) -> Check:
    """The recorder raises its own soft limit; without privileges not above the hard one."""
    soft, hard = machine.limits["file size"]
    raw: dict[str, Raw] = {"soft": soft, "hard": hard}
    if hard is not None:
        note = f"the trace stops growing there, room for about {hard // _FAULT_BYTES:,} faults"
        return Check("file size", size(hard), note, "limited", "a higher hard limit (ulimit -H -f, limits.conf)", raw)
    note = "" if soft is None else f"the soft limit of {size(soft)} is the program's; the recorder lifts its own"
    return Check("file size", "unlimited", note, raw=raw)


def disk(machine: Machine) -> Check:
    """Free space where a trace goes unless -o says otherwise."""
    try:
        found = os.statvfs(machine.folder)
    except OSError as error:
        return unknown(
            "disk",
            {"folder": machine.folder, "free_bytes": None},
            f"{machine.folder or 'current folder'}: {error.strerror}",
        )
    free = found.f_bavail * found.f_frsize
    writable = os.access(machine.folder, os.W_OK | os.X_OK)
    raw: dict[str, Raw] = {"folder": machine.folder, "free_bytes": free, "writable": writable}
    value = f"{size(free)} free in {machine.folder}"
    elsewhere = "name a file elsewhere: pymemtrace run -o FILE"
    if not writable:
        return Check("disk", value, "this folder cannot be written to", "limited", elsewhere, raw)
    if free < _LITTLE_DISK:
        note = f"room for about {free // _FAULT_BYTES:,} faults"
        return Check("disk", value, note, "limited", elsewhere, raw)
    return Check("disk", value, raw=raw)
