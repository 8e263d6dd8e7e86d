"""The standard library's own tests of threads, processes, signals and of what hooks touch have the same results traced
as bare, each one, but for those that ask for the very facility (asked_for.py).

They need an interpreter that comes with the package `test`: Debian's does not (its libpython3.X-testsuite does).
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked_for import SUBTEST, asked_for

from integration.harness import Outcome, any_user, cli, need_faults, new_folder, pymemtrace, run, unprivileged

MODULES = ["test_threading", "test_fork1", "test_subprocess", "test_signal", "test_faulthandler"]
PACKAGES = ["test_multiprocessing_fork", "test_multiprocessing_spawn"]  # of several modules each from 3.12 on
UNDER_TIMER = ["test_threading", "test_fork1", "test_subprocess", "test_signal"]
OF_HOOKS = [
    "test_generators",
    "test_coroutines",
    "test_asyncgen",
    "test_sys_settrace",
    "test_sys_setprofile",
    "test_monitoring_beside",
    "test_exceptions",
    "test_contextlib",
    "test_traceback",
    "test_inspect",
    "test_dis",
    "test_gc",
    "test_weakref",
    "test_fork1",
    "test_threading",
    "test_faulthandler",
    "test_signal",
    "test_subprocess",
]
WITHOUT_C_CALLS = ["test_sys_settrace", "test_sys_setprofile", "test_monitoring_beside", "test_dis", "test_generators"]
BESIDE = Path(__file__).parent / "beside"  # modules that stand for one of the library's
TIMEOUT = 900  # seconds

Results = dict[str, list[str]]  # test case -> each of its results: a case may run more than once


def cases() -> Iterator[object]:
    """Module, engine and user of each test, for `pytest.mark.parametrize`."""
    found = importlib.util.find_spec("test.test_threading") if importlib.util.find_spec("test") else None
    if found is None or found.origin is None:
        reason = f"{sys.executable} comes without the standard library's tests (package test)"
        yield pytest.param("none", "none", "none", marks=pytest.mark.skip(reason))
        return
    some = any_user()
    yield from ((name, "faults", some) for name in MODULES)
    if some == "root" and unprivileged():
        yield from ((name, "faults", "unprivileged") for name in MODULES)
    yield from ((name, "timer", some) for name in UNDER_TIMER)
    for package in PACKAGES:
        names = parts(Path(found.origin).parent, package)
        yield from ((name, "faults", some) for name in names)
        if not names:
            reason = f"{sys.executable} comes without {package}"
            yield pytest.param(package, "faults", some, marks=pytest.mark.skip(reason))


def parts(folder: Path, package: str) -> list[str]:
    """The modules of a package, each of which takes a minute; or the one module that it was before 3.12."""
    if (folder / f"{package}.py").exists():
        return [package]
    return sorted(f"{package}.{path.stem}" for path in (folder / package).glob("test_*.py"))


def cases_of_hooks() -> Iterator[tuple[str, str]]:
    """Module and options of each run with events."""
    for options in "--calls", "--lines", "--calls --no-c-calls":
        for module in WITHOUT_C_CALLS if "no-c" in options else OF_HOOKS:
            if module != "test_monitoring_beside" or sys.version_info >= (3, 12):
                yield module, options


needs_library = pytest.mark.skipif(
    not importlib.util.find_spec("test") or not importlib.util.find_spec("test.test_threading"),
    reason=f"{sys.executable} comes without the standard library's tests (package test)",
)


@needs_library
@pytest.mark.stress
@pytest.mark.timeout(2 * TIMEOUT + 60)
@pytest.mark.parametrize(("module", "options"), list(cases_of_hooks()))
def test_same_results_with_events(module: str, options: str) -> None:
    user = any_user()
    path = new_folder(user) / "x.pmt"
    bare = regrtest([sys.executable], module, user)
    recorded = pymemtrace("run", "-q", *options.split(), "--max-size", "50MiB", "-o", path)
    traced = regrtest(recorded, module, user)
    assert len(bare[1]) > 1, f"no tests were run:\n{tail(bare[0])}"
    known = asked_for(options)
    differences = dict(compare(bare[1], traced[1]))
    if any(name in known and name not in traced[1] for name in differences):
        differences.pop(SUBTEST, None)  # theirs
    others = [text for name, text in differences.items() if name not in known]
    assert not others, "\n".join([*others, tail(traced[0])])
    gone = [name for name in known if name in bare[1] and name not in differences]
    assert not gone, f"no longer different, to be taken out of asked_for.py: {gone}"
    assert differences or traced[0].status == bare[0].status, tail(traced[0])
    calls = cli("calls", path, "--json", user=user, timeout=TIMEOUT)
    assert calls.status == 0, calls.stderr
    assert json.loads(calls.stdout)["functions"]


@pytest.mark.stress
@pytest.mark.timeout(2 * TIMEOUT + 60)
@pytest.mark.parametrize(("module", "engine", "user"), list(cases()))
def test_same_results(module: str, engine: str, user: str) -> None:
    if engine == "faults":
        need_faults(user)
    path = new_folder(user) / "x.pmt"
    bare = regrtest([sys.executable], module, user)
    traced = regrtest(pymemtrace("run", "-q", "--engine", engine, "-o", path), module, user)
    assert len(bare[1]) > 1, f"no tests were run:\n{tail(bare[0])}"
    differences = dict(compare(bare[1], traced[1]))
    assert not differences, "\n".join([*differences.values(), tail(traced[0])])
    assert traced[0].status == bare[0].status, tail(traced[0])
    info = cli("info", path, "--json", user=user, timeout=TIMEOUT)
    assert info.status == 0, info.stderr
    facts = json.loads(info.stdout)
    assert facts["engine"]["name"] == engine
    assert facts["end"] == {"kind": "exit", "value": traced[0].status}


def regrtest(python: list[str], module: str, user: str) -> tuple[Outcome, Results]:
    """Run a module by `python -m test`, in a folder of its own."""
    folder = new_folder(user)
    path = folder / "results.xml"
    where = ["--testdir", str(BESIDE)] if module.endswith("_beside") else []
    command = [*python, "-m", "test", "--fail-env-changed", *where, "--junit-xml", str(path), module]
    done = run(command, user=user, cwd=folder, timeout=TIMEOUT)
    if not path.exists():
        pytest.fail(f"no results: status {done.status} of {command}\n{tail(done)}", pytrace=False)
    results: Results = {}
    for case in ElementTree.parse(path).iter("testcase"):
        # A case that fails in a subtest only has no name.
        results.setdefault(case.get("name", SUBTEST), []).append(result(case))
    return done, results


def result(case: ElementTree.Element) -> str:
    """What became of a case; messages are not compared, they name pids and addresses."""
    parts = [part.tag for part in case if part.tag not in ("system-out", "system-err")]
    return ", ".join([case.get("result", "incomplete"), *parts])


def compare(bare: Results, traced: Results) -> Iterator[tuple[str, str]]:
    """The cases whose results differ: name and how."""
    for name in sorted(bare.keys() | traced.keys()):
        pair = [Counter(results.get(name, ["missing"])) for results in (bare, traced)]
        if pair[0] != pair[1]:
            yield name, f"{name}: bare {dict(pair[0])}, traced {dict(pair[1])}"


def tail(done: Outcome) -> str:
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(itertools.chain([f"status {done.status}, last lines:"], lines[-120:]))
