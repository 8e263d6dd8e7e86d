"""The kernel: what this release can do for tracing, and how exactly it counts."""

import re

from pymemtrace.doctor.check import Check, unknown
from pymemtrace.doctor.machine import Machine
from pymemtrace.report.units import size

FAULTS_POSSIBLE, FAULTS_USED = (5, 19), (6, 1)  # core/prim/linux/fault_event.c decides the same
_SCAN_SINCE = (6, 7)
_EXACT_SINCE = (6, 16)
_LAG_PAGES = 64  # a CPU keeps about so many pages to itself before it tells the sum
_PAGE = 4096
_CHOSEN = re.compile(r"\[(\w+)\]")


def release(machine: Machine) -> Check:
    version = machine.kernel
    if version is None:
        return unknown("release", {"release": machine.release})
    raw = {"release": machine.release}
    if version >= FAULTS_USED:
        return Check("release", machine.release, "page-fault signals work (Linux 6.1 or later)", raw=raw)
    note = "page-fault signals are not used before 6.1"
    if version < FAULTS_POSSIBLE:
        note = "page-fault signals are never used before 5.19, where they can kill the program"
    if machine.release == "4.4.0":
        note += "; gVisor reports this release: there, another container runtime (runc) is what helps"
    return Check("release", machine.release, note, "bad", "Linux 6.1 or later", raw)


def rss_exactness(machine: Machine) -> Check:
    """How far the kernel's own cheap number may be off."""
    version = machine.kernel
    exact_file = machine.exists("proc/self/smaps_rollup")
    if version is None:
        return unknown("RSS", {"exact": None, "band_bytes": None, "smaps_rollup": exact_file})
    if version >= _EXACT_SINCE:
        return Check("RSS", "exact", raw={"exact": True, "band_bytes": 0, "smaps_rollup": exact_file})
    band = None if machine.cpus is None else _LAG_PAGES * _PAGE * machine.cpus
    within = "" if band is None else f", up to {size(band)} here"
    note = f"before 6.16 statm changes in bursts of about {_LAG_PAGES} pages a CPU{within}; larger sums are right"
    if exact_file:
        note += "; smaps_rollup is exact"
    return Check("RSS", "lags", note, "limited", raw={"exact": False, "band_bytes": band, "smaps_rollup": exact_file})


def pagemap_scan(machine: Machine) -> Check:
    """Whether a page can be asked what it is."""
    version = machine.kernel
    if version is None:
        return unknown("PAGEMAP_SCAN", {"available": None})
    if version >= _SCAN_SINCE:
        return Check("PAGEMAP_SCAN", "available", raw={"available": True})
    note = "Linux 6.7 or later; without it a huge page that comes in as others are released may be counted as one page"
    return Check("PAGEMAP_SCAN", "not available", note, "limited", raw={"available": False})


def huge_pages(machine: Machine) -> Check:
    """How much one touch may bring in."""
    folder = "sys/kernel/mm/transparent_hugepage"
    chosen = _CHOSEN.search(machine.read(f"{folder}/enabled") or "")
    if chosen is None:
        return unknown("huge pages", {"mode": None, "size_bytes": None})
    mode, length = chosen[1], machine.read_number(f"{folder}/hpage_pmd_size")
    block = size(length) if length else "a huge page"
    notes = {
        "always": f"one touch may bring in {block}: the line that touches first gets it whole",
        "madvise": f"one touch brings in {block} where a library asks for it, as NumPy does from 4 MiB on",
        "never": "each touch brings in small pages only",
    }
    note = notes.get(mode, "")
    if machine.status.get("THP_enabled") == "0":
        note = "switched off for this process"
    return Check("huge pages", mode, note, raw={"mode": mode, "size_bytes": length})
