"""The checks of `pymemtrace doctor` on made-up machines."""

import dataclasses
import errno
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymemtrace.doctor import access, container, diagnosis, engines, kernel, limits, python, remedies
from pymemtrace.doctor.check import Check
from pymemtrace.doctor.diagnosis import SECTIONS, Diagnosis
from pymemtrace.doctor.interpreter import Interpreter
from pymemtrace.doctor.machine import Machine
from pymemtrace.doctor.probe import Answer
from pymemtrace.report import doctor, json_report

MIB = 1 << 20
NO_V1_LIMIT = "9223372036854771712"
STATUS = "Name:\tpython\nTracerPid:\t0\nCapEff:\t0000000000000000\nSeccomp:\t0\nTHP_enabled:\t1\n"
ROOT_CAPABILITIES = "000001ffffffffff"
FREE = {"open files": (1024, 4096), "address space": (None, None), "file size": (None, None)}
ORDINARY = {
    "proc/self/status": STATUS,
    "proc/self/uid_map": "         0          0 4294967295\n",
    "proc/self/cgroup": "0::/user.slice/app.service\n",
    "proc/self/mountinfo": "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n",
    "proc/self/maps": "7f00-7f01 r-xp 0 08:01 12 /usr/lib/libc.so.6\n7f02-7f03 rw-p 0 00:00 0\n",
    "proc/self/smaps_rollup": "Rss: 4 kB\n",
    "proc/sys/kernel/perf_event_paranoid": "2\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    "sys/fs/cgroup/user.slice/memory.max": "max\n",
    "sys/fs/cgroup/user.slice/app.service/memory.max": f"{512 * MIB}\n",
    "sys/fs/cgroup/user.slice/app.service/memory.current": f"{128 * MIB}\n",
}
PYTHON = Interpreter(version_info=(3, 13), implementation="cpython", prefix="/usr", environment=None, debug=False)
PYTHON = dataclasses.replace(PYTHON, dev_mode=False, free_threaded=False, pymalloc=True, c_library="glibc 2.40")

MakeMachine = Callable[..., Machine]


def changed_status(**fields: str) -> dict[str, str]:
    """The file with some fields changed."""
    kept = [line for line in STATUS.splitlines() if line.partition(":")[0] not in fields]
    return {"proc/self/status": "\n".join(kept + [f"{name}:\t{value}" for name, value in fields.items()])}


@pytest.fixture
def machine(tmp_path: Path) -> MakeMachine:
    """Makes a machine: `files` replaces (or with None removes) files of an ordinary one."""

    def make(files: dict[str, str | None] | None = None, **changes: Any) -> Machine:
        root = tmp_path / "root"
        for path, content in (ORDINARY | (files or {})).items():
            if content is not None:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(content)
        plain: dict[str, Any] = {"release": "6.8.0-31-generic", "environ": {}, "limits": FREE, "cpus": 4}
        plain |= {"root": str(root), "folder": str(tmp_path), "interpreter": PYTHON}
        return Machine(**(plain | changes))

    return make


def outcome(check: Check) -> tuple[str, str]:
    return check.value, check.verdict


# Every check


def all_checks(machine: Machine) -> list[Check]:
    return [check(machine) for checks in SECTIONS.values() for check in checks]


def test_an_ordinary_machine_has_no_bad_check(machine: MakeMachine) -> None:
    found = {check.name: check for check in all_checks(machine())}
    assert {check.verdict for check in found.values()} == {"ok", "limited"}
    assert [name for name, check in found.items() if check.verdict == "limited"] == ["RSS"], "6.8 counts in bursts"
    assert len(found) == sum(map(len, SECTIONS.values())), "names are unique"


def test_nothing_can_be_read(tmp_path: Path) -> None:
    empty = Machine(
        root=str(tmp_path / "no"), release="?", environ={}, limits=FREE, cpus=None, folder="/no/such/folder"
    )
    unreadable = {check.name for check in all_checks(empty) if check.verdict == "unknown"}
    files = {
        "huge pages",
        access.PARANOID,
        "capabilities",
        "seccomp",
        "debugger",
        "container",
        "cgroup",
        "memory limit",
    }
    assert unreadable == files | {"release", "RSS", "PAGEMAP_SCAN", "disk"}
    assert all(check.value == "unknown" for check in all_checks(empty) if check.verdict == "unknown")


GARBAGE = [
    "",
    "\n",
    "garbage",
    "-1",
    "0::\n",
    ":::\n",
    "[",
    "[]",
    "\udcff\x00\x1b[31m",
    "9" * 5000,
    "memory:\n" * 3,
    " - ",
]


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_in_every_file(machine: MakeMachine, text: str) -> None:
    encoded = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    strange = machine({path: encoded for path in ORDINARY})
    found = Diagnosis(strange, {title: [each(strange) for each in checks] for title, checks in SECTIONS.items()}, [])
    assert all(line.plain.isprintable() for line in doctor.report(found))
    json.dumps(doctor.json_object(found))


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    for path in ORDINARY:
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    all_checks(Machine(root=str(tmp_path), environ={}, limits=FREE))


# Kernel


@pytest.mark.parametrize(
    ("release", "verdict", "words"),
    [
        ("5.15.0-91-generic", "bad", "never used before 5.19"),
        ("5.19.17", "bad", "not used before 6.1"),
        ("6.0.9", "bad", "not used before 6.1"),
        ("6.1.0-18-amd64", "ok", "signals work"),
        ("6.18.44", "ok", "signals work"),
        ("10.0", "ok", "signals work"),
        ("4.4.0", "bad", "gVisor"),
    ],
)
def test_release(machine: MakeMachine, release: str, verdict: str, words: str) -> None:
    found = kernel.release(machine(release=release))
    assert outcome(found) == (release, verdict)
    assert words in found.note
    assert bool(found.remedy) == (verdict == "bad")


def test_exactness_of_rss(machine: MakeMachine) -> None:
    assert outcome(kernel.rss_exactness(machine(release="6.16.0"))) == ("exact", "ok")
    before = kernel.rss_exactness(machine(release="6.15.9", cpus=8))
    assert outcome(before) == ("lags", "limited")
    assert before.raw["band_bytes"] == 8 * 64 * 4096
    assert "2.0 MiB" in before.note
    assert "smaps_rollup is exact" in before.note


def test_pagemap_scan(machine: MakeMachine) -> None:
    assert outcome(kernel.pagemap_scan(machine(release="6.7.0"))) == ("available", "ok")
    assert outcome(kernel.pagemap_scan(machine(release="6.6.99"))) == ("not available", "limited")


@pytest.mark.parametrize("mode", ["always", "madvise", "never"])
def test_huge_pages(machine: MakeMachine, mode: str) -> None:
    text = "always madvise never".replace(mode, f"[{mode}]")
    found = kernel.huge_pages(machine({"sys/kernel/mm/transparent_hugepage/enabled": text}))
    assert found.value == found.raw["mode"] == mode
    assert ("2.0 MiB" in found.note) == (mode != "never")


def test_huge_pages_switched_off_for_the_process(machine: MakeMachine) -> None:
    assert kernel.huge_pages(machine(changed_status(THP_enabled="0"))).note == "switched off for this process"


# Permissions


def paranoid(level: int) -> dict[str, str]:
    return {"proc/sys/kernel/perf_event_paranoid": f"{level}\n"}


@pytest.mark.parametrize(("level", "verdict"), [(-1, "ok"), (1, "ok"), (2, "ok"), (3, "bad"), (4, "bad")])
def test_paranoid(machine: MakeMachine, level: int, verdict: str) -> None:
    found = access.paranoid(machine(paranoid(level)))
    assert outcome(found) == (str(level), verdict)
    assert found.remedy == ("sudo sysctl kernel.perf_event_paranoid=2" if verdict == "bad" else "")


def test_a_capability_makes_the_paranoid_level_void(machine: MakeMachine) -> None:
    perfmon_only = paranoid(4) | changed_status(CapEff=f"{1 << 38:016x}")
    assert access.paranoid(machine(perfmon_only)).verdict == "ok"
    assert access.capabilities(machine(perfmon_only)).value == "CAP_PERFMON"


def test_a_capability_in_a_user_namespace_does_not_count(machine: MakeMachine) -> None:
    rootless = changed_status(CapEff=ROOT_CAPABILITIES) | {"proc/self/uid_map": "0 1000 1\n1 100000 65536\n"}
    found = machine(paranoid(4) | rootless)
    assert access.paranoid(found).verdict == "bad"
    assert access.capabilities(found).raw == {
        "effective": ["CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"],
        "user_namespace": True,
    }
    assert "do not count" in access.capabilities(found).note


def test_no_capability(machine: MakeMachine) -> None:
    assert access.capabilities(machine()).value.startswith("none of CAP_PERFMON")


def test_seccomp(machine: MakeMachine) -> None:
    assert access.seccomp(machine()).value == "none"
    assert access.seccomp(machine(changed_status(Seccomp="2"))).value == "filter"
    assert access.seccomp(machine(changed_status(Seccomp="7"))).value == "mode 7"


def test_debugger(machine: MakeMachine) -> None:
    assert outcome(access.debugger(machine())) == ("none", "ok")
    found = access.debugger(machine(changed_status(TracerPid="77") | {"proc/77/comm": "gdb\n"}))
    assert outcome(found) == ("77 gdb", "bad")
    assert found.raw == {"pid": 77, "name": "gdb"}
    assert access.debugger(machine(changed_status(TracerPid="78"))).value == "78"


# Container


@pytest.mark.parametrize(
    ("files", "environ", "kinds"),
    [
        ({}, {}, []),
        ({".dockerenv": ""}, {}, ["Docker"]),
        ({"run/.containerenv": 'engine="podman"\n'}, {"container": "podman"}, ["Podman"]),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ["Kubernetes"]),
        ({"proc/self/cgroup": "0::/kubepods/burstable/pod1/2\n"}, {}, ["Kubernetes"]),
        ({"proc/self/cgroup": "5:memory:/docker/0123\n"}, {}, ["Docker"]),
        ({}, {"container": "systemd-nspawn"}, ["systemd-nspawn"]),
        ({"proc/self/mountinfo": "1 2 0:1 / / rw - overlay overlay rw\n"}, {}, ["a container"]),
        ({"proc/self/mountinfo": "1 2 0:1 / /var rw - overlay overlay rw\n"}, {}, []),
    ],
)
def test_container(
    machine: MakeMachine, files: dict[str, str | None], environ: dict[str, str], kinds: list[str]
) -> None:
    found = container.container(machine(files, environ=environ))
    assert found.raw["kinds"] == kinds
    assert (found.value == "no sign of one") == (not kinds)


def numbers(check: Check) -> tuple[Any, Any]:
    return check.raw["limit_bytes"], check.raw["usage_bytes"]


def test_memory_limit_of_v2(machine: MakeMachine) -> None:
    found = machine()
    assert container.cgroup(found).value == "v2, /user.slice/app.service"
    assert numbers(container.memory(found)) == (512 * MIB, 128 * MIB)
    assert container.memory(found).note == "128.0 MiB in use (25.0 %)"


def test_the_lowest_limit_on_the_way_up_counts(machine: MakeMachine) -> None:
    found = machine({"sys/fs/cgroup/user.slice/memory.max": f"{130 * MIB}\n"})
    assert numbers(container.memory(found)) == (130 * MIB, 128 * MIB)
    assert container.memory(found).verdict == "limited", "nearly full"


def test_no_limit(machine: MakeMachine) -> None:
    found = container.memory(machine({"sys/fs/cgroup/user.slice/app.service/memory.max": "max\n"}))
    assert (found.value, numbers(found)) == ("none", (None, 128 * MIB))


def test_the_root_of_v2_has_no_limit(machine: MakeMachine) -> None:
    assert container.memory(machine({"proc/self/cgroup": "0::/\n"})).value == "none"


def test_in_a_container_the_path_may_be_the_hosts(machine: MakeMachine) -> None:
    files = {
        "proc/self/cgroup": "0::/system.slice/docker-1.scope\n",
        "sys/fs/cgroup/memory.max": f"{64 * MIB}\n",
        "sys/fs/cgroup/memory.current": f"{32 * MIB}\n",
    }
    assert numbers(container.memory(machine(files))) == (64 * MIB, 32 * MIB)


def test_memory_limit_of_v1(machine: MakeMachine) -> None:
    files = {
        "proc/self/cgroup": "9:name=systemd:/\n4:memory:/docker/1\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_V1_LIMIT,
        "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": f"{100 * MIB}\n",
        "sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes": f"{50 * MIB}\n",
    }
    assert container.cgroup(machine(files)).value == "v1, /docker/1"
    assert numbers(container.memory(machine(files))) == (100 * MIB, 50 * MIB)
    unlimited = machine(files | {"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": NO_V1_LIMIT})
    assert numbers(container.memory(unlimited)) == (None, 50 * MIB)


# Python


@pytest.mark.parametrize(
    ("implementation", "info", "verdict"),
    [("cpython", (3, 10), "bad"), ("cpython", (3, 11), "ok"), ("cpython", (3, 14), "bad"), ("pypy", (3, 11), "bad")],
)
def test_version(machine: MakeMachine, implementation: str, info: tuple[int, int], verdict: str) -> None:
    other = dataclasses.replace(PYTHON, implementation=implementation, version_info=info)
    assert python.version(machine(interpreter=other)).verdict == verdict


@pytest.mark.parametrize(
    ("prefix", "origin"),
    [
        ("/usr", "system"),
        ("/home/me/.pyenv/versions/3.13.0", "pyenv"),
        ("/home/me/.local/share/uv/python/cpython-3.13", "uv"),
        ("/usr/local", "own installation"),
    ],
)
def test_origin(prefix: str, origin: str) -> None:
    assert dataclasses.replace(PYTHON, prefix=prefix).origin == origin


def test_build(machine: MakeMachine) -> None:
    other = dataclasses.replace(PYTHON, debug=True, shared=True, environment="/venv")
    value = python.build(machine(interpreter=other)).value
    assert value == "debug, libpython shared; system, /usr, virtual environment /venv"
    threads = python.build(machine(interpreter=dataclasses.replace(PYTHON, free_threaded=True)))
    assert threads.verdict == "limited"
    assert "free-threaded" in threads.value


@pytest.mark.parametrize(
    ("environ", "changes", "objects"),
    [
        ({}, {}, "pymalloc"),
        ({"PYTHONMALLOC": "malloc"}, {}, "malloc"),
        ({"PYTHONMALLOC": "default"}, {}, "pymalloc"),
        ({"PYTHONMALLOC": "malloc"}, {"ignores_environment": True}, "pymalloc"),
        ({}, {"debug": True}, "pymalloc_debug"),
        ({}, {"free_threaded": True}, "mimalloc"),
        ({}, {"pymalloc": False, "dev_mode": True}, "malloc_debug"),
    ],
)
def test_object_allocator(machine: MakeMachine, environ: dict[str, str], changes: dict[str, Any], objects: str) -> None:
    found = python.allocator(machine(environ=environ, interpreter=dataclasses.replace(PYTHON, **changes)))
    assert found.value == f"{objects} over glibc 2.40"


@pytest.mark.parametrize(
    "file", ["/usr/lib/libjemalloc.so.2", "/opt/my libs/libmimalloc.so", "/x/libtcmalloc_minimal.so.4"]
)
def test_preloaded_allocator(machine: MakeMachine, file: str) -> None:
    maps = f"7f00-7f01 r-xp 00000000 08:01 12    {file}\n7f02-7f03 r-xp 00000000 08:01 12    {file}\n"
    found = python.allocator(machine({"proc/self/maps": maps}, environ={"LD_PRELOAD": file}))
    assert outcome(found) == (f"pymalloc over {file}", "ok")


def test_an_allocator_that_was_not_loaded(machine: MakeMachine) -> None:
    found = python.allocator(machine(environ={"LD_PRELOAD": "libm.so.6:libjemalloc.so.2"}))
    assert outcome(found) == ("pymalloc over glibc 2.40", "limited")
    assert "libjemalloc.so.2, which is not loaded" in found.note


# Limits


def test_limits(machine: MakeMachine) -> None:
    tight = machine(
        changed_status(VmSize="20480 kB"),
        limits={"open files": (15, 15), "address space": (120 * MIB, None), "file size": (0, 0)},
    )
    checks = [limits.open_files(tight), limits.address_space(tight), limits.file_size(tight)]
    assert [outcome(check) for check in checks] == [("15", "bad"), ("120.0 MiB", "bad"), ("0 B", "limited")]
    assert all(check.remedy for check in checks)
    enough = machine(limits={"open files": (16, 16), "address space": (200 * MIB, None), "file size": (None, None)})
    assert [each(enough).verdict for each in (limits.open_files, limits.address_space)] == ["ok", "ok"]


def test_a_soft_limit_of_the_file_size_is_lifted(machine: MakeMachine) -> None:
    found = limits.file_size(machine(limits=FREE | {"file size": (MIB, None)}))
    assert outcome(found) == ("unlimited", "ok")
    assert "1.0 MiB" in found.note


def test_disk(machine: MakeMachine, tmp_path: Path) -> None:
    found = limits.disk(machine())
    assert found.raw["folder"] == str(tmp_path)
    assert found.raw["writable"] is True
    assert isinstance(found.raw["free_bytes"], int)
    assert "No such file" in limits.disk(machine(folder=str(tmp_path / "no"))).note
    assert limits.disk(machine(folder="")).note == "current folder: No such file or directory"


def test_a_current_folder_that_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert limits.disk(Machine(environ={}, limits=FREE)).verdict == "unknown"


# Remedies


def commands(machine: Machine, error: int | None, reason: str = "refused") -> str:
    found = remedies.of_faults(machine, Answer(error, reason))
    assert all(remedy.command and remedy.what for remedy in found)
    return "\n".join(f"{remedy.command}  {remedy.what}" for remedy in found)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EACCES])
def test_remedies_of_a_paranoid_level(machine: MakeMachine, error: int) -> None:
    said = commands(machine(paranoid(3)), error)
    assert "sudo sysctl kernel.perf_event_paranoid=2  until the next boot" in said
    assert "/etc/sysctl.d/" in said
    assert "+perfmon" in said
    assert "docker" not in said


def test_remedies_of_a_paranoid_level_in_a_container(machine: MakeMachine) -> None:
    said = commands(machine(paranoid(3) | {".dockerenv": ""}), errno.EACCES)
    assert "sudo sysctl kernel.perf_event_paranoid=2  on the host" in said
    assert "--cap-add PERFMON" in said
    assert "securityContext" in said


def test_remedies_of_a_filter(machine: MakeMachine) -> None:
    filtered = changed_status(Seccomp="2")
    for error in errno.EPERM, errno.ENOSYS:
        said = commands(machine(filtered), error)
        assert "--cap-add PERFMON" in said
        assert "--security-opt seccomp=" in said
        assert "securityContext" in said
        assert "sysctl" not in said
    assert "sysctl" in commands(machine(filtered | paranoid(4)), errno.EPERM), "both stand in the way"
    as_root = filtered | paranoid(4) | {"proc/self/status": STATUS.replace("0000000000000000", ROOT_CAPABILITIES)}
    as_root["proc/self/status"] = as_root["proc/self/status"].replace("Seccomp:\t0", "Seccomp:\t2")
    assert "sysctl" not in commands(machine(as_root), errno.EPERM), "the level does not apply"


@pytest.mark.parametrize(
    ("error", "release", "words"),
    [
        (errno.ENOTSUP, "5.15.0", "6.1 or later"),
        (errno.ENOTSUP, "6.8.0", "pthread_sigmask"),
        (errno.EBUSY, "6.8.0", "debugger"),
        (errno.EMFILE, "6.8.0", "ulimit -n"),
        (errno.ENOMEM, "6.8.0", "ulimit -v"),
        (errno.ENOSYS, "6.8.0", "CONFIG_PERF_EVENTS"),
        (errno.EPERM, "6.8.0", "ausearch"),
        (errno.EINVAL, "6.8.0", "doctor --json"),
        (None, "6.8.0", "doctor --json"),
    ],
)
def test_other_remedies(machine: MakeMachine, error: int | None, release: str, words: str) -> None:
    assert words in commands(machine(release=release), error)


@pytest.mark.parametrize(
    ("error", "seccomp", "words"),
    [(errno.EAGAIN, 0, "ulimit -i"), (errno.EBUSY, 0, "debugger"), (errno.EPERM, 2, "timer_create")]
    + [(errno.EPERM, 0, "doctor --json"), (errno.ENOTSUP, 2, "doctor --json"), (None, 0, "doctor --json")],
)
def test_remedies_of_the_timer(machine: MakeMachine, error: int | None, seccomp: int, words: str) -> None:
    [remedy] = remedies.of_timer(machine(changed_status(Seccomp=str(seccomp))), Answer(error, "refused"))
    assert words in f"{remedy.command} {remedy.what}"


# What is printed


@pytest.fixture
def refused(machine: MakeMachine, monkeypatch: pytest.MonkeyPatch) -> Diagnosis:
    answers = {"faults": Answer(errno.EACCES, "perf_event_open: Permission denied"), "timer": Answer(0)}
    monkeypatch.setattr(engines, "probe", answers.get)
    return diagnosis.diagnose(machine(paranoid(4)))


def test_text(refused: Diagnosis) -> None:
    lines = [line.plain for line in doctor.report(refused)]
    text = "\n".join(lines)
    assert "bad      kernel.perf_event_paranoid  4; refuses perf events to all without CAP_PERFMON" in lines
    assert "bad      faults                      refused: perf_event_open: Permission denied" in lines
    assert " -> sudo sysctl kernel.perf_event_paranoid=2 " in text
    assert "ok       timer " in text
    assert lines[-1] == "pymemtrace run uses the engine timer here"
    columns = {len(line) - len(line[9:].lstrip()) for line in lines if line[:3] in ("ok ", "bad", "lim")}
    assert columns == {9}, "names begin in one column"


def test_json(refused: Diagnosis) -> None:
    out = io.StringIO()
    json_report.write(out, doctor.json_object(refused))
    found = json.loads(out.getvalue())
    assert (found["schema"], found["engine"]) == (1, "timer")
    assert [engine["name"] for engine in found["engines"]] == ["faults", "timer"]
    faults = found["engines"][0]
    assert (faults["available"], faults["reason"]) == (False, "perf_event_open: Permission denied")
    assert faults["remedies"][0]["command"] == "sudo sysctl kernel.perf_event_paranoid=2"
    [memory] = [check for check in found["checks"] if check["name"] == "memory limit"]
    assert memory["section"] == "container"
    assert memory["raw"] == {"limit_bytes": 512 * MIB, "usage_bytes": 128 * MIB}


def test_the_first_engine_that_works_is_used(machine: MakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "probe", lambda name: Answer(0))
    found = diagnosis.diagnose(machine())
    assert found.engine == "faults"
    assert Diagnosis(machine(), {}, []).engine is None


def test_no_engine(machine: MakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "probe", lambda name: Answer(None, "the probe died of SIGTRAP (5)"))
    lines = [line.plain for line in doctor.report(diagnosis.diagnose(machine()))]
    assert sum("refused: the probe died of SIGTRAP (5)" in line for line in lines) == 2
    assert "without the lines behind it" in lines[-1]
