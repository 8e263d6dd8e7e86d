"""The standard library's own tests of threads, processes and signals have the same results traced as bare, each one.

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

from integration.harness import Outcome, any_user, cli, need_faults, new_folder, pymemtrace, run, unprivileged

MODULES = ["test_threading", "test_fork1", "test_subprocess", "test_signal", "test_faulthandler"]
PACKAGES = ["test_multiprocessing_fork", "test_multiprocessing_spawn"]  # of several modules each from 3.12 on
UNDER_TIMER = ["test_threading", "test_fork1", "test_subprocess", "test_signal"]
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
    differences = list(compare(bare[1], traced[1]))
    assert not differences, "\n".join([*differences, tail(traced[0])])
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
    command = [*python, "-m", "test", "--fail-env-changed", "--junit-xml", str(path), module]
    done = run(command, user=user, cwd=folder, timeout=TIMEOUT)
    if not path.exists():
        pytest.fail(f"no results: status {done.status} of {command}\n{tail(done)}", pytrace=False)
    results: Results = {}
    for case in ElementTree.parse(path).iter("testcase"):
        # A case that fails in a subtest only has no name.
        results.setdefault(case.get("name", "(a subtest failed)"), []).append(result(case))
    return done, results


def result(case: ElementTree.Element) -> str:
    """What became of a case; messages are not compared, they name pids and addresses."""
    parts = [part.tag for part in case if part.tag not in ("system-out", "system-err")]
    return ", ".join([case.get("result", "incomplete"), *parts])


def compare(bare: Results, traced: Results) -> Iterator[str]:
    for name in sorted(bare.keys() | traced.keys()):
        pair = [Counter(results.get(name, ["missing"])) for results in (bare, traced)]
        if pair[0] != pair[1]:
            yield f"{name}: bare {dict(pair[0])}, traced {dict(pair[1])}"


def tail(done: Outcome) -> str:
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(itertools.chain([f"status {done.status}, last lines:"], lines[-120:]))
