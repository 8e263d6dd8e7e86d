"""What would unlock an engine where it is refused: commands and configuration, ready to copy."""

import errno

from pymemtrace.doctor import access, container, kernel
from pymemtrace.doctor.check import Remedy
from pymemtrace.doctor.machine import Machine
from pymemtrace.doctor.probe import Answer

_SETTING = f"{access.PARANOID}={access.PARANOID_MAX}"
_REFUSED = (errno.EPERM, errno.EACCES)
_MISSING = (errno.ENOSYS, errno.ENOENT)
_FILTER = 2

_REPORT = Remedy("pymemtrace doctor --json", "please report this, with what that prints")
_KERNEL = Remedy("uname -r", "6.1 or later is needed: a newer kernel")
_DEBUGGER = Remedy("pymemtrace doctor", "again, once the debugger (gdb, strace) has let go of this process")
_FEATURE = Remedy("CONFIG_PERF_EVENTS=y", "a kernel built with it")
_MASK = Remedy(
    "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTRAP})",
    "in the program that starts this one: it has blocked SIGTRAP",
)
_POLICY = Remedy("ausearch -m avc -ts recent", "a security module refuses it: its log tells; allow class perf_event")
_FILES = Remedy("ulimit -n 1024", "more open files")
_SIGNALS = Remedy("ulimit -i unlimited", "this user's timers and pending signals have reached the limit")
_SPACE = Remedy("ulimit -v unlimited", "more address space")
_SERVICE_FILTER = Remedy("SystemCallFilter=perf_event_open", "a systemd service: add it to those allowed")


def of_faults(machine: Machine, answer: Answer) -> tuple[Remedy, ...]:
    """What to do about this refusal, the most likely remedy first."""
    fixed = {errno.EBUSY: _DEBUGGER, errno.EMFILE: _FILES, errno.ENFILE: _FILES, errno.ENOMEM: _SPACE}
    filtered = access.seccomp_mode(machine) == _FILTER
    if answer.error is None:
        return (_REPORT,)
    if answer.error in fixed:
        return (fixed[answer.error],)
    if answer.error == errno.ENOTSUP:
        return (_KERNEL if machine.kernel is None or machine.kernel < kernel.FAULTS_USED else _MASK,)
    if answer.error in _REFUSED:
        return _of_refusal(machine, filtered)
    if answer.error in _MISSING:
        return _of_filter(machine) if filtered else (_FEATURE,)
    return (_REPORT,)


def of_timer(machine: Machine, answer: Answer) -> tuple[Remedy, ...]:
    """The same for the timer, which few refuse."""
    if answer.error == errno.EAGAIN:
        return (_SIGNALS,)
    if answer.error == errno.EBUSY:
        return (_DEBUGGER,)
    if answer.error in (*_REFUSED, *_MISSING) and access.seccomp_mode(machine) == _FILTER:
        return (Remedy("docker run --security-opt seccomp=PROFILE.json ...", "a profile that allows timer_create"),)
    return (_REPORT,)


def _of_refusal(machine: Machine, filtered: bool) -> tuple[Remedy, ...]:
    level = access.paranoid_level(machine)
    too_high = (level is None or level > access.PARANOID_MAX) and not access.may_watch_kernel(machine)
    if not too_high:
        return _of_filter(machine) if filtered else (_POLICY,)
    contained = filtered or bool(container.signs(machine))
    return _of_level(contained) + (_of_filter(machine) if contained else _of_user())


def _of_level(contained: bool) -> tuple[Remedy, ...]:
    where = "on the host, " if contained else ""
    return (
        Remedy(f"sudo sysctl {_SETTING}", f"{where}until the next boot"),
        Remedy(f"echo {_SETTING} | sudo tee /etc/sysctl.d/90-pymemtrace.conf", f"{where}from the next boot on"),
    )


def _of_user() -> tuple[Remedy, ...]:
    """The capability for one command or service instead of the setting for all."""
    user = "--reuid $(id -u) --regid $(id -g) --init-groups"
    return (
        Remedy(
            f"sudo setpriv {user} --inh-caps +perfmon --ambient-caps +perfmon $(command -v pymemtrace) run ...",
            "for one run, as this user",
        ),
        Remedy("AmbientCapabilities=CAP_PERFMON", "for a systemd service"),
    )


def _of_filter(machine: Machine) -> tuple[Remedy, ...]:
    """The flags of container runtimes. Their default profiles allow perf_event_open with the capability."""
    kinds = container.signs(machine)
    flags = (
        Remedy("docker run --cap-add PERFMON ...", "Docker 23 or later; podman run too, from 2026 on"),
        Remedy('securityContext: {capabilities: {add: ["PERFMON"]}}', "Kubernetes, in the container's specification"),
        Remedy("docker run --security-opt seccomp=PROFILE.json ...", "a profile that allows perf_event_open"),
    )
    return flags if kinds else (*flags, _SERVICE_FILTER)
