"""`pymemtrace diff` and `check` on traces of two versions of a program that hold known memory, in two checkouts."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from integration import harness
from integration.harness import Outcome, any_user, assert_one_line, cli, own, pymemtrace, run

MIB = 1 << 20
SOURCE = """\
import mmap
{header}
def fresh(mib):
    memory = mmap.mmap(-1, mib << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, mib << 20, mmap.PAGESIZE):
        memory[at] = 1
    return memory
"""
APP = """\
import sys

from stock import cache
{header}
def noisy():
    return cache.fresh(int(sys.argv[1]))


def {only}():
    return cache.fresh(6)


kept = [cache.put({held}), noisy(), {only}()]
"""
PUT = """

def put(mib):
    memory = fresh(2)  # of fresh() itself
    mine = mmap.mmap(-1, mib << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mine.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, mib << 20, mmap.PAGESIZE):
        mine[at] = 1
    return memory, mine
"""
# what put() holds, the function that only this version has, what stands above the functions
VERSIONS = {"old": (10, "leaves", "\n"), "new": (40, "comes", "\n\nSIZE = 1\nCOUNT = 2\n\n\n")}


@functools.cache
def checkout(version: str) -> Path:
    """A folder of its own with this version of the program."""
    held, only, header = VERSIONS[version]
    folder = harness.new_folder(any_user()) / version
    for path in (folder, folder / "stock"):
        own(path, any_user())
    (folder / "app.py").write_text(APP.format(header=header, only=only, held=held))
    (folder / "stock" / "__init__.py").write_text("")
    (folder / "stock" / "cache.py").write_text(SOURCE.format(header=header) + PUT)
    return folder


@functools.cache
def traced(version: str, noise: int = 5, options: tuple[str, ...] = ("--exact",)) -> str:
    path = harness.new_folder(any_user()) / f"{version}-{noise}.pmt"
    program = checkout(version) / "app.py"
    done = run(pymemtrace("run", "-q", "-o", path, *options, program, str(noise)), user=any_user())
    assert done.status == 0, done.stderr
    return str(path)


def document(*words: str, status: int = 0) -> dict[str, Any]:
    done = cli(*words, "--json")
    assert done.status == status, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def functions(found: dict[str, Any]) -> dict[str, tuple[str, float]]:
    """Status and change in MiB of what changed by more than a MiB, by module and function."""
    return {
        f"{row['module']}:{row['function']}": (row["status"], row["change"] / MIB)
        for row in found["by_function"]
        if abs(row["change"]) > MIB
    }


def assert_books(found: dict[str, Any]) -> None:
    for side in "base", "new":
        assert found["whole"][side] == sum(part[side] for part in found["parts"])
    assert found["whole"]["change"] == sum(part["change"] for part in found["parts"])


# ---- diff ----


def test_thirty_mib_more_in_one_function() -> None:
    found = document("diff", traced("old"), traced("new"))
    assert functions(found) == {"stock.cache:put": ("grew", pytest.approx(30, abs=0.1))}
    assert_books(found)
    assert found["whole"]["change"] == pytest.approx(30 * MIB, abs=MIB)
    owned = next(part for part in found["parts"] if part["name"] == "owned")
    for kind in "line", "function", "module", "thread":
        assert sum(row["change"] for row in found[f"by_{kind}"]) == owned["change"]


def test_rss_is_what_report_says_of_each() -> None:
    found = document("diff", traced("old"), traced("new"))
    for side in "base", "new":
        (run_of,) = found[side]
        report = document("report", run_of["path"])
        assert run_of["rss"] == report["rss"]
        assert found["whole"][side] == report["at"]["rss"] == report["rss"]["peak"]
        rows = {(row["file"], row["line"], row["function"]): row["self"] for row in report["by_line"]}
        # Each line's bytes are those of `report`: an independent look at the largest.
        largest = max(rows, key=lambda key: rows[key])
        mine = [row for row in found["by_line"] if row["function"] == largest[2] and row["module"] == "stock.cache"]
        assert rows[largest] in [row[side]["median"] for row in mine]


def test_the_line_that_grew_has_moved() -> None:
    first, *_ = document("diff", traced("old"), traced("new"))["by_line"]
    assert (first["function"], first["status"]) == ("put", "grew")
    for version, key in (("old", "base_line"), ("new", "line")):
        source = (checkout(version) / "stock" / "cache.py").read_text().splitlines()
        assert source[first[key] - 1].strip() == "mine[at] = 1"


def test_functions_that_came_and_went() -> None:
    found = functions(document("diff", traced("old"), traced("new"), "--total"))
    assert found["__main__:leaves"] == ("gone", pytest.approx(-6, abs=0.2))
    assert found["__main__:comes"] == ("new", pytest.approx(6, abs=0.2))
    assert found["__main__:<module>"] == ("grew", pytest.approx(30, abs=0.5))


@pytest.mark.parametrize("moment", [("--at", "end"), ("--at", "peak"), ("--touched",)])
def test_other_moments(moment: tuple[str, ...]) -> None:
    found = document("diff", traced("old"), traced("new"), *moment)
    assert_books(found)
    assert functions(found)["stock.cache:put"] == ("grew", pytest.approx(30, abs=0.2))
    assert found["quantity"] == ("touched" if moment == ("--touched",) else "resident")


def test_several_runs_tell_noise_from_change() -> None:
    base, new = ([traced(version, noise) for noise in (5, 9, 7)] for version in ("old", "new"))
    found = document("diff", "--base", *base, "--new", *reversed(new), "--total")
    rows = {f"{row['module']}:{row['function']}": row for row in found["by_function"]}
    assert rows["stock.cache:put"]["within_noise"] is False
    assert rows["stock.cache:put"]["change"] == pytest.approx(30 * MIB, abs=0.2 * MIB)
    noisy = rows["__main__:noisy"]
    assert [size / MIB for size in noisy["base"]["runs"]] == pytest.approx([5, 9, 7], abs=0.2)
    assert (noisy["base"]["median"] / MIB, noisy["new"]["median"] / MIB) == pytest.approx((7, 7), abs=0.2)
    assert noisy["spread"] == pytest.approx(8 * MIB, abs=0.5 * MIB)
    assert noisy["within_noise"] or noisy["change"] == 0
    assert_books(found)


def test_runs_of_the_same_program_are_within_the_noise() -> None:
    found = document("diff", "--base", traced("old", 5), traced("old", 9), "--new", traced("old", 6), traced("old", 8))
    assert found["whole"]["sides"]["within_noise"] or not found["whole"]["change"]
    assert functions(found) == {} or all(row["within_noise"] for row in found["by_function"] if row["change"] > MIB)


def test_what_is_printed() -> None:
    words = ["diff", traced("old"), traced("new")]
    done = cli(*words, env=harness.environment(COLUMNS="80"))
    assert done == Outcome(0, done.stdout, "", done.seconds)
    assert "\x1b" not in done.stdout
    tables = [line for line in done.stdout.splitlines() if re.match(r" *[+-][\d.]+ [KM]iB ", line)]
    assert len(tables) >= 4 and max(map(len, tables)) <= 80
    closing = done.stdout.splitlines()[-1]
    whole, *parts = [int(number.replace(",", "")) for number in re.findall(r"([+-]?[\d,]+) KiB", closing)]
    assert whole == sum(parts)
    assert cli(*words, env=harness.environment(COLUMNS="80")).stdout == done.stdout


def test_the_timer_and_the_faults() -> None:
    done = cli("diff", traced("old"), traced("new", options=("--engine", "timer")))
    assert done.status == 0
    assert "engines differ, so owners may differ by that alone" in done.stdout


def test_bad_files(tmp_path: Path) -> None:
    assert_one_line(cli("diff", traced("old"), "/nowhere.pmt"))
    assert_one_line(cli("diff", traced("old"), checkout("old") / "app.py"))
    assert_one_line(cli("diff", traced("old")))
    assert_one_line(cli("check", "/nowhere.pmt", "--max-peak", "1G"))
    assert_one_line(cli("check", traced("old"), "--max-peak", "1 light year"))


# ---- check ----


def test_limits() -> None:
    path = traced("new")
    peak = document("report", path)["rss"]["peak"]
    done = cli("check", path, "--max-peak", str(peak), "--max-growth", "60MiB", "--max-owner", "stock.cache:put=41MiB")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(f"ok {path}: peak ") and done.stdout.count("\n") == 1
    done = cli(
        "check", path, "--max-peak", str(peak - 1), "--max-growth", "40MiB", "--max-owner", "stock/cache.py=1MiB"
    )
    assert (done.status, done.stderr) == (1, "")
    reasons = done.stdout.splitlines()
    assert len(reasons) == 3
    assert "1 B more than --max-peak" in reasons[0]
    assert "more than --max-growth 40.0 MiB" in reasons[1]
    assert "stock/cache.py holds at the peak: 5" in reasons[2]  # 40 and 2, 5 and 6 MiB


def test_an_owner_with_what_it_called() -> None:
    path = traced("old")
    assert cli("check", path, "--max-owner", "__main__:leaves=5MiB").status == 0
    assert cli("check", path, "--max-owner", "__main__:leaves=5MiB", "--total").status == 1


def test_an_owner_that_does_not_occur() -> None:
    done = cli("check", traced("old"), "--max-owner", "stock.cash:put=1MiB")
    assert done.status == 0
    assert "stock.cash:put owns nothing in this trace" in done.stderr and "It has stock.cache:put." in done.stderr


def test_against_a_baseline() -> None:
    same = cli("check", traced("old"), "--baseline", traced("old"))
    assert (same.status, same.stderr) == (0, "")
    assert cli("check", traced("old"), "--baseline", traced("new")).status == 0
    found = document("check", traced("new"), "--baseline", traced("old"), status=1)
    failed = [finding["name"] or finding["kind"] for finding in found["findings"] if not finding["ok"]]
    assert failed == ["peak", "growth", "stock.cache:put"]
    assert cli("check", traced("new"), "--baseline", traced("old"), "--floor", "40MiB").status == 0


def test_children_are_not_added_up() -> None:
    path = harness.cached_trace("held.py", "--child", user=any_user(), options=("--exact",)).path
    report = document("report", str(path))
    found = document("check", str(path), "--max-peak", "1GiB", "--max-growth", "1GiB")
    assert found["processes"] == 2
    values = [finding["value"] for finding in found["findings"]]
    assert values == [report["rss"]["peak"], report["rss"]["end"] - report["rss"]["start"]]
