"""`pymemtrace html` on real traces: the data in the page are what the other reports say, whatever names are in them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    any_user,
    assert_one_line,
    cli,
    in_a_world_of_its_own,
    need_faults,
    new_folder,
    pymemtrace,
    report,
    run,
)

WEB = Path(__file__).parents[2] / "web"
MAX_SIZE = 10 << 20
MAX_CHANGES = 1_000  # of a kind in a view of what changed
PARTS = ("before_start", "file", "shared", "kernel", "tracer", "unexplained")

FAMILY = """
import mmap, os, subprocess, sys, threading, warnings

import pymemtrace

warnings.simplefilter("ignore")  # a thread that was joined may still be there for the fork, which then complains

def fill(size):
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, size, mmap.PAGESIZE):
        memory[offset] = 1
    return memory

def work():
    fill(24 << 20).close()

def keep():
    return fill(8 << 20)

if sys.argv[1:]:
    pymemtrace.mark("in the child")
    fill(12 << 20)
    sys.exit()
kept = keep()
pymemtrace.mark("kept </script>")
threads = [threading.Thread(target=work, name=f"worker {n}") for n in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
if (pid := os.fork()) == 0:
    more = fill(16 << 20)
    os._exit(3)
os.waitpid(pid, 0)
subprocess.run([sys.executable, __file__, "child"])
subprocess.run(["true"])
"""
FILL = len(FAMILY.partition("memory[offset]")[0].splitlines())

HOSTILE = """
import threading
END = "</script><script>window.hacked=1</script>"
kept = []

def template():
    kept.append(bytearray(8 << 20))

def call(name, file):
    code = template.__code__.replace(co_name=name, co_qualname=name, co_filename=file)
    exec(code, {"kept": kept})

call(END, END)
call("bell\\x07 and \\x1b[31m and \\u2028 and \\udcff <!-- ]]>", "zero\\0 new\\nline")
call("x" * (1 << 20), "/" + "y" * (1 << 20) + ".py")
thread = threading.Thread(target=call, args=("in a thread", "&lt;.py"), name="<b>&")
thread.start()
thread.join()
"""

OWNERS = """
import mmap, sys
memory = mmap.mmap(-1, 2 * COUNT * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
places = {"memory": memory, "page": mmap.PAGESIZE}
for number in range(COUNT):
    calls = [f"def at_{depth}_{number}():\\n    at_{depth + 1}_{number}()\\n" for depth in range(DEPTH)]
    writes = [f"    memory[{2 * number + each} * page] = 1\\n" for each in range(2)]
    source = "".join([*calls, f"def at_{DEPTH}_{number}():\\n", *writes, f"at_0_{number}()"])
    exec(compile(source, f"part{number % 100}.py", "exec"), places)
"""


def traced(name: str, program: str, *options: str) -> Path:
    """The trace of a program, made once."""
    user = any_user()
    need_faults(user)
    folder = new_folder(user)
    (folder / f"{name}.py").write_text(program)
    path = folder / f"{name}.pmt"
    done = run(pymemtrace("run", "-q", "--exact", *options, "-o", path, folder / f"{name}.py"), user=user)
    assert (done.status, done.stderr) == (0, "")
    return path


def page(path: Path, *options: str) -> str:
    """The page of a trace."""
    done = cli("html", "-f", path, *options)
    assert (done.status, done.stderr) == (0, "")
    return path.with_suffix(".html").read_text()


def data(html: str) -> dict[str, Any]:
    """What stands in the page's element for data: as a browser finds its end, then as JSON."""
    element = re.search(r'<script type="application/json" id="data">(.*?)</script', html, re.DOTALL | re.IGNORECASE)
    assert element
    assert not set(element[1]) & set("<>&\u2028\u2029\0")
    found = json.loads(element[1])
    assert isinstance(found, dict)
    return found


def held(process: dict[str, Any], moment: int) -> int:
    """What the owners of a process hold at a moment."""
    changes = process["changes"]
    return sum(size for at, size in zip(changes["moment"], changes["resident"], strict=True) if at <= moment)


def names(found: dict[str, Any]) -> set[str]:
    return {frame[2] for frame in found["frames"]}


def of_function(found: dict[str, Any], process: dict[str, Any], name: str, column: str, until: int) -> int:
    """What a function itself holds or touched in a process until a moment."""
    changes = process["changes"]
    rows = zip(changes["node"], changes["moment"], changes[column], strict=True)
    frames = process["frame"]
    return sum(size for node, at, size in rows if at <= until and node and found["frames"][frames[node]][2] == name)


@pytest.fixture(scope="module")
def family() -> Path:
    return traced("family", FAMILY)


@pytest.fixture(scope="module")
def hostile() -> Path:
    return traced("hostile", HOSTILE)


@pytest.fixture(scope="module")
def with_lines() -> Path:
    return traced("lines", FAMILY, "--lines", "--include", "__main__")


def test_the_books_are_those_of_the_report(family: Path) -> None:
    traced = [process for process in data(page(family))["processes"] if process["traced"]]
    assert len(traced) == 3, "the program, its fork, and the Python that it started"
    for process in traced:
        said = json.loads(cli("report", family, "--pid", str(process["pid"]), "--json").stdout)["at"]
        peak = process["peak"]
        assert process["times"][peak] == pytest.approx(said["time_s"], abs=1e-6)
        assert process["rss"][peak] == said["rss"] == max(process["rss"])
        assert held(process, peak) == said["owned"] and process["note"] == said["note"]
        assert {part: process["parts"][part][peak] for part in PARTS} == {part: said[part] for part in PARTS}


def test_parts_and_owned_are_rss_at_every_moment(family: Path, with_lines: Path) -> None:
    for path in family, with_lines:
        for process in data(page(path))["processes"]:
            assert process["times"] == sorted(set(process["times"]))
            for moment, rss in enumerate(process["rss"]):
                parts = sum(process["parts"][part][moment] for part in PARTS)
                assert rss is None or parts + held(process, moment) == rss, (process["pid"], moment)


def test_what_was_touched_is_what_the_report_says(family: Path) -> None:
    found = data(page(family))
    sums = report(family)["touched"]
    touched = sum(sum(process["changes"]["touched"]) for process in found["processes"])
    assert touched == sums["total"] - sums["kernel"] - sums["tracer"]
    first, forked, child = (process for process in found["processes"] if process["traced"])
    for process, size in (first, 8 + 2 * 24), (forked, 16), (child, 12):
        whole = of_function(found, process, "fill", "touched", len(process["times"]))
        assert whole == pytest.approx(size << 20, abs=256 << 10)  # threads that fault at once share what RSS rose by


def test_threads_and_children(family: Path) -> None:
    found = data(page(family))
    first, forked, child = (process for process in found["processes"] if process["traced"])
    threads = [name for _tid, name in first["threads"]]
    assert threads.count("worker 0") == threads.count("worker 1") == 1
    changes = first["changes"]
    for name in "worker 0", "worker 1":
        rows = zip(changes["thread"], changes["touched"], changes["resident"], strict=True)
        mine = [row for row in rows if threads[row[0]] == name]
        assert sum(touched for _, touched, _ in mine) == pytest.approx(24 << 20, abs=256 << 10)
        assert sum(resident for _, _, resident in mine) < 1 << 20, "it was given back"
    assert forked["end"] == "exit status 3" and child["command"].endswith("family.py child")
    assert of_function(found, forked, "fill", "resident", forked["peak"]) >= 16 << 20
    others = [process for process in found["processes"] if not process["traced"]]
    assert [process["end"] for process in others] in ([], ["exit status 0"]), "`true`, if the kernel told of it"
    assert all("not traced" in process["note"] and process["changes"]["node"] == [] for process in others)


def test_frames_have_their_line_and_the_source_is_there(family: Path) -> None:
    found = data(page(family))
    assert ["family.py", FILL, "fill", "__main__"] in found["frames"]
    source = found["sources"]["family.py"]
    assert source["lines"][FILL - source["first"]] == "        memory[offset] = 1"


def test_calls_and_lines_of_the_event_log(with_lines: Path) -> None:
    found = data(page(with_lines))
    first = found["processes"][0]
    calls, frames = first["calls"], found["frames"]
    said = json.loads(cli("calls", with_lines, "--pid", str(first["pid"]), "--json").stdout)["functions"]
    for name, count in ("fill", 3), ("work", 2), ("keep", 1):
        nodes = [node for node, frame in enumerate(calls["frame"]) if frame >= 0 and frames[frame][2] == name]
        [row] = [row for row in said if row["function"] == name]
        assert sum(calls["count"][node] for node in nodes) == row["calls"] == count
    [row] = [row for row in first["lines"]["lines.py"] if row[0] == FILL]
    assert row[1] == (8 + 2 * 24 << 20) // os.sysconf("SC_PAGE_SIZE")


def test_marks(with_lines: Path, family: Path) -> None:
    processes = data(page(with_lines))["processes"]
    assert [text for process in processes for _seconds, text in process["marks"]] == ["kept </script>", "in the child"]
    [first], [child] = (process["marks"] for process in processes if process["marks"])
    assert first[0] < child[0]
    assert all(mark[0] in process["times"] for process in processes for mark in process["marks"]), "a moment of its own"
    assert not any(process["marks"] for process in data(page(family))["processes"]), "without a log there are none"


def test_each_process_has_its_own_calls(with_lines: Path) -> None:
    found = data(page(with_lines))
    logged = {}
    for process in found["processes"]:
        nodes = process["calls"]["frame"] if process["calls"] else []
        logged[process["pid"]] = sum(
            count
            for frame, count in zip(nodes, (process["calls"] or {"count": []})["count"], strict=True)
            if frame >= 0 and found["frames"][frame][2] == "fill"
        )
    assert sorted(logged.values(), reverse=True)[:3] == [3, 1, 1], "the fork and the child call it once each"


def test_a_trace_without_events_has_no_calls(family: Path) -> None:
    assert {(process["calls"], process["lines"]) for process in data(page(family))["processes"]} == {(None, None)}


def test_names_stay_data(hostile: Path) -> None:
    html = page(hostile)
    found = data(html)
    assert len(re.findall("<script", html, re.IGNORECASE)) == 2
    end = "</script><script>window.hacked=1</script>"
    [frame] = [frame for frame in found["frames"] if frame[2] == end]
    assert frame[0] == end
    assert any("\x1b[31m" in name and "\u2028" in name for name in names(found)), "the page itself shows them escaped"
    assert max(len(text) for frame in found["frames"] for text in (frame[0], frame[2], frame[3])) <= 300
    assert any(name.startswith("xxx") for name in names(found))
    assert ("<b>&" in [name for _tid, name in found["processes"][0]["threads"]]) and len(html) < 2 << 20


def test_no_source(family: Path) -> None:
    html = page(family, "--no-source")
    assert data(html)["sources"] == {}
    assert "memory[offset]" not in html and "memory[offset]" in page(family)


def test_source_that_has_changed_since_is_left_out() -> None:
    path = traced("changed", "kept = bytearray(8 << 20)\n")
    assert "changed.py" in data(page(path))["sources"]
    path.with_suffix(".py").write_text("# another version\n")
    html = page(path)
    assert "changed.py" not in data(html)["sources"] and "another version" not in html


def test_the_same_trace_gives_the_same_bytes(with_lines: Path, hostile: Path) -> None:
    for path in with_lines, hostile:
        assert page(path) == page(path)


def test_the_page_stands_beside_the_trace_and_is_not_overwritten() -> None:
    path = traced("app", "kept = bytearray(8 << 20)\n")
    elsewhere = new_folder(any_user())
    done = cli("html", path, cwd=elsewhere)
    assert (done.status, done.stderr) == (0, "") and str(path.with_suffix(".html")) in done.stdout
    assert sorted(each.name for each in path.parent.iterdir()) == ["app.html", "app.pmt", "app.py"]
    assert list(elsewhere.iterdir()) == []
    path.with_suffix(".html").write_text("mine")
    done = cli("html", path)
    assert_one_line(done)
    assert "-f" in done.stderr and path.with_suffix(".html").read_text() == "mine"
    assert cli("html", "-f", path).status == 0 and path.with_suffix(".html").stat().st_size > 50_000


def test_what_changed_is_what_diff_says(family: Path, with_lines: Path, hostile: Path) -> None:
    found = data(page(with_lines, "--diff", str(family), "--diff", str(hostile)))["comparison"]
    assert found["base"] == [str(family), str(hostile)]
    options: dict[str, list[str]] = {"peak": [], "end": ["--at", "end"], "touched": ["--touched"]}
    assert list(found["views"]) == list(options)
    for name, view in found["views"].items():
        said = json.loads(cli("diff", "--json", *options[name], "--base", family, hostile, "--new", with_lines).stdout)
        assert view["notes"] == said["notes"]
        assert view["whole"] == [said["whole"]["base"], said["whole"]["new"]]
        assert view["parts"] == [[part["name"], part["base"], part["new"]] for part in said["parts"]]
        for kind in "line", "function", "module", "thread":
            sides = [(row["base"]["median"], row["new"]["median"], row["spread"]) for row in said[f"by_{kind}"]]
            assert [tuple(row[3:]) for row in view["rows"][kind]] == sides[:MAX_CHANGES] != []
            assert view["left_out"][kind] == len(sides[MAX_CHANGES:])
    wholes = [view["whole"] for view in found["views"].values()]
    assert all(wholes.count(whole) == 1 for whole in wholes), "three quantities"
    assert data(page(with_lines))["comparison"] is None


def test_a_base_may_stand_before_the_trace(family: Path, hostile: Path) -> None:
    found = data(cli("html", "-f", "-o", "-", "--diff", hostile, family).stdout)["comparison"]
    assert found["base"] == [str(hostile)]


def test_a_base_that_is_no_trace(family: Path) -> None:
    target = family.with_name("none.html")
    done = cli("html", family, "--diff", __file__, "-o", target)
    assert_one_line(done)
    assert __file__ in done.stderr and not target.exists()
    assert_one_line(cli("html", family, "--diff", family, "--diff", family, "-o", target))


def test_standard_output(family: Path) -> None:
    whole = page(family)
    done = cli("html", family, "-o", "-")
    assert (done.status, done.stdout, done.stderr) == (0, whole, "")
    assert_one_line(cli("html", family, "-o", "-", "--open"))


def test_what_is_no_trace(family: Path) -> None:
    folder = new_folder(any_user())
    (folder / "text.pmt").write_text("hello " * 100)
    (folder / "empty.pmt").write_bytes(b"")
    (folder / "head.pmt").write_bytes(family.read_bytes()[:20])
    for name in "none.pmt", "text.pmt", "empty.pmt", "head.pmt", ".":
        done = cli("html", folder / name, "-o", folder / "page.html")
        assert_one_line(done)
    done = cli("html", family, "-o", family, "-f")
    assert_one_line(done)
    assert sorted(each.name for each in folder.iterdir()) == ["empty.pmt", "head.pmt", "text.pmt"]


def test_a_trace_that_was_cut_off_says_so(family: Path) -> None:
    cut = new_folder(any_user()) / "cut.pmt"
    whole = family.read_bytes()
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    texts = " ".join(text for _name, text in data(page(cut))["header"])
    assert "cut off" in texts


def test_a_full_disk_leaves_nothing(family: Path) -> None:
    done = cli("html", family, "-o", "/dev/full")
    assert_one_line(done)
    assert "No space left on device" in done.stderr
    folder = new_folder(any_user())
    script = f"mount -t tmpfs -o size=64k none {folder}"
    listing = f'"$@"; status=$?; ls -A {folder}; exit $status'
    command = ["sh", "-c", listing, "sh", *pymemtrace("html", family, "-o", folder / "page.html")]
    done = in_a_world_of_its_own(script, command)
    assert_one_line(done)
    assert "No space left on device" in done.stderr


def test_2000_owners_are_less_than_10_mib() -> None:
    html = page(traced("owners", "COUNT, DEPTH = 2_500, 5" + OWNERS))
    found = data(html)
    owners = [name for name in names(found) if name.startswith("at_5_")]
    assert len(owners) > 2400 and len(html) < MAX_SIZE
    assert found["processes"][0]["note"] is None


def test_what_a_very_large_tree_leaves_out_is_its_callers_and_the_page_says_so() -> None:
    path = traced("deep", "COUNT, DEPTH = 2_500, 12" + OWNERS)
    [process] = data(page(path))["processes"]
    assert len(process["parent"]) <= 20_001 + 100
    assert held(process, process["peak"]) == json.loads(cli("report", path, "--json").stdout)["at"]["owned"]
    assert re.fullmatch(
        r"\d,\d+ of \d,\d+ places in the call tree that have least are shown as their callers'", process["note"]
    )


def test_in_a_browser(family: Path, hostile: Path, with_lines: Path) -> None:
    missing = [name for name in ("node", "npm", "chromium") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: apt-get install nodejs npm chromium")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("the packages of web/ are not there: make web")
    pages = []
    for path in family, hostile, with_lines:
        page(path)
        said = cli("report", path, "--by", "thread").stdout
        closing = next(line for line in said.splitlines() if line.startswith("RSS ") and " = " in line)
        at = json.loads(cli("report", path, "--json").stdout)["at"]
        pages.append({"path": str(path.with_suffix(".html")), "closing": closing, "seconds": at["time_s"]})
    done = subprocess.run(
        ["node", "test/run.mjs", "real"],
        cwd=WEB,
        env=os.environ | {"PYMEMTRACE_PAGES": json.dumps(pages)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass 3$", done.stdout, re.MULTILINE), done.stdout
