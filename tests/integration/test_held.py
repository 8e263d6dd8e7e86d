"""Who holds the memory at a moment: report, tree and timeline of a program that knows."""

import csv
import functools
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from integration import harness
from integration.harness import PAGE, TARGETS, assert_one_line, cli
from oracle import pmt

MIB = 1 << 20
PARTS = ("before_start", "owned", "file", "shared", "kernel", "tracer", "unexplained")
KEPT = {
    "peak": (64, 48, 16),
    "both": (64, 48, 16),
    "end": (32, 0, 16),
    "--touched": (64, 48, 16),
}  # MiB: keep, pass_by, work


@functools.cache
def traced(*options: str, arguments: tuple[str, ...] = ()) -> Path:
    return harness.trace("held.py", *arguments, options=options).path


def asked(path: Path, *options: str, verb: str = "report") -> dict[str, Any]:
    done = cli(verb, path, "--json", *options)
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def at(when: str) -> tuple[str, ...]:
    return (when,) if when == "--touched" else ("--at", when)


def total(report: dict[str, Any], function: str) -> int:
    return sum(row["total"] for row in report["by_function"] if row["function"] == function)


def assert_books_close(at: dict[str, Any]) -> None:
    assert at["rss"] == sum(at[part] for part in PARTS)
    assert at["owned"] == at["exact"] + at["fill"] + at["by_time"]


@pytest.mark.parametrize("when", KEPT)
def test_who_holds_what(when: str) -> None:
    report = asked(traced("--exact"), *at(when))
    found = {name: total(report, name) / MIB for name in ("keep", "pass_by", "work")}
    assert found == pytest.approx(dict(zip(found, KEPT[when], strict=True)), abs=0.3)
    assert report["quantity"] == ("touched" if when == "--touched" else "resident")


@pytest.mark.parametrize("when", ["peak", "both", "end"])
def test_the_books_close(when: str) -> None:
    report = asked(traced("--exact"), "--at", when)
    held = report["at"]
    assert_books_close(held)
    assert held["kind"] == {"both": "name"}.get(when, when)
    assert sum(row["self"] for row in report["by_line"]) == held["owned"]
    assert sum(row["self"] for row in report["by_function"]) == held["owned"]
    assert sum(row["self"] for row in report["by_module"]) == held["owned"]
    assert sum(row["self"] for row in report["by_file"]) == held["owned"]
    assert sum(row["bytes"] for row in report["by_thread"]) == held["owned"]
    assert all(row["total"] for row in report["by_line"])
    assert abs(held["unexplained"]) <= 0.01 * held["rss"] + held["error_band"]
    assert report["processes"][0]["at"] == held
    assert held["rss"] == {"peak": report["rss"]["peak"]}.get(when, held["rss"])
    tree = asked(traced("--exact"), "--at", when, verb="tree")
    assert tree["nodes"][0]["total"] == held["owned"]


def test_the_peak_is_what_report_shows() -> None:
    assert asked(traced("--exact")) == asked(traced("--exact"), "--at", "peak")
    assert asked(traced("--exact"))["at"]["rss"] == asked(traced("--exact"))["rss"]["peak"]
    assert asked(traced("--exact"), "--touched")["at"] is None


def test_seconds() -> None:
    path = traced("--exact")
    then = asked(path, "--at", "both")["at"]["time_s"]
    before, later = (asked(path, "--at", f"{then + more:.3f}") for more in (-0.001, 0.15))
    assert total(before, "pass_by") == pytest.approx(48 * MIB, rel=0.01)
    assert total(later, "pass_by") < MIB  # what snapshot() imports
    assert total(later, "keep") == pytest.approx(64 * MIB, rel=0.01)
    assert_books_close(later["at"])
    assert later["at"]["kind"] == "time"


def test_a_fault_says_what_rss_fell_to() -> None:
    trace = pmt.decode(traced("--exact"))
    falls = [fault.fell_to for fault in trace.faults if fault.fell_to is not None]
    assert falls[-1] * PAGE == pytest.approx(sum(trace.snapshots[-1].kib[:3]) << 10, abs=MIB)  # of 32 MiB given back


def test_threads() -> None:
    rows = {row["name"]: row["bytes"] for row in asked(traced("--exact"), "--at", "end")["by_thread"]}
    assert rows["worker"] == pytest.approx(16 * MIB, rel=0.02)


def test_no_such_moment() -> None:
    assert_one_line(cli("report", traced("--exact"), "--at", "nowhere"))
    assert_one_line(cli("report", traced("--exact"), "--at", "1000"))
    assert_one_line(cli("tree", traced("--exact"), "--at", "nowhere"))
    assert "both" in cli("report", traced("--exact"), "--at", "nowhere").stderr
    assert cli("report", traced("--exact"), "--at", "end", "--touched").status == 2


def test_the_closing_line_adds_up() -> None:
    for when in ("peak", "end", "both"):
        text = cli("report", traced("--exact"), "--at", when, "-n", "3").stdout
        line = next(line for line in text.splitlines() if line.startswith("RSS ") and " = before start" in line)
        numbers = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) KiB", line)]
        rss, *parts, unexplained = numbers
        assert rss == pytest.approx(sum(parts) + (-unexplained if " - unexplained" in line else unexplained), abs=4)
        assert "Resident by line" in text


def test_children_have_books_of_their_own() -> None:
    path = traced("--exact", arguments=("--child",))
    report = asked(path)
    root, child = report["processes"]
    assert_books_close(root["at"])
    at_end = asked(path, "--at", "end", "--pid", str(child["pid"]))
    assert_books_close(at_end["at"])
    assert total(at_end, "write_again") == pytest.approx(8 * MIB, rel=0.02)
    assert total(at_end, "child") == pytest.approx(12 * MIB, rel=0.02)
    assert total(at_end, "keep") == 0
    text = cli("report", path, "--by", "process").stdout
    assert str(child["pid"]) in text


def test_timeline_adds_up() -> None:
    path = traced("--exact")
    found = asked(path, "--points", "50", verb="timeline")
    parts = ("before_start", "exact", "fill", "by_time", "file", "shared", "kernel", "tracer", "unexplained")
    assert len(found["points"]) == 50
    for point in found["points"]:
        assert point["rss"] == sum(point[part] for part in parts)
        assert sum(point["owners"]) == point["exact"] + point["fill"] + point["by_time"]
    highest = [max(column) for column in zip(*(point["owners"] for point in found["points"]), strict=True)]
    assert any("touch" in owner for owner in found["owners"])
    assert max(highest) == pytest.approx(128 * MIB, rel=0.02)  # all in one line
    rows = list(csv.DictReader(io.StringIO(cli("timeline", path, "--points", "50", "--csv").stdout)))
    assert [int(row["rss"]) for row in rows] == [point["rss"] for point in found["points"]]
    assert "[1] touch " in cli("timeline", path, "--by", "function").stdout
    by_file = asked(path, "--points", "50", "--by", "file", verb="timeline")
    assert by_file["owners"][0] == str(TARGETS / "held.py")
    assert sum(by_file["points"][-1]["owners"]) == sum(found["points"][-1]["owners"])


def test_by_file() -> None:
    path = traced("--exact")
    text = cli("report", path, "--by", "file", "--full-paths").stdout
    assert "Resident by file" in text
    assert str(TARGETS / "held.py") in text
    assert "Resident by line" not in text
    assert "Resident by file" not in cli("report", path).stdout, "the table of modules names the files"


@pytest.mark.parametrize("engine", ["faults", "timer"])
def test_nobody_looks_while_memory_grows(engine: str) -> None:
    found = pmt.decode(traced("--engine", engine, arguments=("--slowly",)).read_bytes()).snapshots
    names = [snapshot.name for snapshot in found]
    assert names[: names.index("both")] == ["", "first"]


def test_the_timer_says_what_it_cannot_know() -> None:
    path = traced("--engine", "timer", arguments=("--slowly",))
    report = asked(path)
    assert_books_close(report["at"])
    assert report["at"]["exact"] == 0
    assert total(report, "keep") == pytest.approx(64 * MIB, rel=0.25)
    assert "the timer sees no addresses" in cli("report", path).stdout


def test_what_a_child_reads_before_it_has_been_looked_at() -> None:
    path = harness.trace("residency/changes_hands.py", "fork").path
    [child] = [each["pid"] for each in asked(path)["processes"][1:]]
    found = asked(path, "--at", "end", "--pid", str(child))
    assert_books_close(found["at"])
    assert total(found, "read_all") == pytest.approx(80 * MIB, rel=0.02)
    assert {row["pid"] for row in found["by_thread"]} == {child}
    assert found["rss"] == next(each["rss"] for each in found["processes"] if each["pid"] == child)


@pytest.mark.parametrize("when", ["peak", "end"])
def test_the_program_that_a_program_became(when: str) -> None:
    found = asked(harness.trace("residency/changes_hands.py", "exec").path, "--at", when)
    assert_books_close(found["at"])
    assert total(found, "touch_in_second") == pytest.approx(60 * MIB, rel=0.02)
    assert found["at"]["rss"] == pytest.approx(found["rss"][when], rel=0.01)
    assert found["rss"]["peak"] > 60 * MIB


@pytest.mark.parametrize(
    "options", [("--releases", "--touched"), ("--releases", "--at"), ("--releases", "--by"), ("--json", "--by")]
)
def test_no_option_is_ignored(options: tuple[str, str]) -> None:
    values = {"--at": ["end"], "--by": ["file"]}
    done = cli("report", traced("--exact"), *(word for name in options for word in (name, *values.get(name, []))))
    assert_one_line(done)
    assert all(name in done.stderr for name in options)


def test_snapshots_are_listed() -> None:
    info = asked(traced("--exact"), verb="info")
    kinds = [each["kind"] for each in info["snapshots"]]
    assert (kinds[0], kinds[-1]) == ("start", "end")
    assert {each["name"] for each in info["snapshots"] if each["kind"] == "asked"} == {"first", "both"}
    assert "1 at the start" in cli("info", traced("--exact")).stdout


def test_the_timeline_has_the_peak() -> None:
    path = traced("--exact")
    highest = max(point["rss"] for point in asked(path, "--points", "5", verb="timeline")["points"])
    assert highest == asked(path)["rss"]["peak"]


def test_what_cannot_be_known_is_in_the_json() -> None:
    assert asked(traced("--exact"))["at"]["note"] is None
    note = asked(traced("--exact", "--no-snapshots"))["at"]["note"]
    assert "switched off" in note
    assert "oldest" in note
