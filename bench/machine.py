"""What a figure means nothing without: the machine, its settings, and how the figures were taken."""

import os
import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """The machine and the settings that move the figures."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "cpu": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores, governor {_governor()}",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}, load at the start {load}",
        "settings": f"perf_event_paranoid {_read('/proc/sys/kernel/perf_event_paranoid')}, "
        f"huge pages {_chosen(_read('/sys/kernel/mm/transparent_hugepage/enabled'))}, "
        f"clock {_read('/sys/devices/system/clocksource/clocksource0/current_clocksource')}",
    }


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.lower().startswith(("model name", "cpu model", "hardware")):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _governor() -> str:
    return _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none")


def _chosen(text: str) -> str:
    """The value in brackets of a sysfs choice."""
    return text.partition("[")[2].partition("]")[0] or text


def _read(path: str, missing: str = "unknown") -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return missing
