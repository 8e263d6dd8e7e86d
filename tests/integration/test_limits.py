"""Files that may not or cannot grow: `--max-size`, full disks, outputs that are no files. The program never notices."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    answer,
    any_user,
    assert_one_line,
    assert_pages,
    assert_same,
    both,
    cli,
    holders,
    in_a_world_of_its_own,
    need_faults,
    new_folder,
    popen,
    pymemtrace,
    report,
    run,
    text,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())
PAGES = 30_000


def assert_books_close(found: dict[str, Any], pages: int) -> None:
    """What is listed and what is only counted are all there was."""
    touched, left_out = found["touched"], found["left_out"]
    assert left_out["bytes"] == touched["left_out"]
    lines = sum(row["self"] for row in found["by_line"])
    assert touched["total"] == lines + touched["kernel"] + touched["tracer"] + left_out["bytes"]
    listed = sum(row["self"] for row in found["by_function"] if row["function"] == "touch")
    assert listed > 0
    assert_pages(listed + left_out["bytes"], pages, slack=100)  # the interpreter's last pages are counted too
    assert left_out["faults"] == pytest.approx(left_out["bytes"] / PAGE, rel=0.02)
    assert 0 < left_out["time_s"] < found["duration_s"]


# --max-size


@each_user
@pytest.mark.parametrize("size", [64 << 10, 80_000])
def test_a_limited_trace(size: int, user: str) -> None:
    need_faults(user)
    limited = trace("scattered.py", str(PAGES), user=user, options=("--exact", "--max-size", str(size)))
    assert (limited.status, limited.stderr, limited.truth["pages"]) == (0, "", PAGES)
    assert size / 2 < limited.path.stat().st_size <= size
    assert limited.report["end"] == {"kind": "exit", "value": 0}
    assert limited.report["left_out"]["reason"] == "the file reached its --max-size"
    assert_books_close(limited.report, PAGES)
    assert limited.report["rss"]["end"] > PAGES * PAGE, "the marks at the end are there"


def test_every_report_says_where_the_details_end() -> None:
    need_faults(any_user())
    path = new_folder(any_user()) / "x.pmt"
    done = cli("run", "--max-size=64KiB", "--exact", "-o", path, TARGETS / "scattered.py", str(PAGES))
    assert "details end after" in done.stderr
    for verb in "report", "info":
        human = cli(verb, path)
        assert "details end after" in human.stdout, verb
        assert "--max-size" in human.stdout, verb
        found = json.loads(cli(verb, path, "--json").stdout)
        assert found["left_out"]["faults"] > 1000, verb
    assert "left out" in cli("report", "--touched", path).stdout.splitlines()[-2], "the closing line"
    assert "left out: what was touched after" in cli("report", "--at", "end", path).stdout


def test_a_log_without_a_head_says_where_the_details_end(tmp_path: Path) -> None:
    program, path = tmp_path / "calls.py", tmp_path / "x.pmt"
    program.write_text("for _ in range(300_000): len('a')")
    assert cli("run", "-q", "--calls", "--max-size=64KiB", "-o", path, program).status == 0
    for style in "--json", "--csv":
        done = cli("log", path, style)
        assert done.status == 0
        assert "details end after" in done.stderr
        assert "details end" not in done.stdout
    for verb in "calls", "lines", "tree":
        assert json.loads(cli(verb, path, "--json").stdout)["left_out"]["events"] > 1000, verb


def test_a_limit_that_is_not_reached() -> None:
    found = trace("hello.py", user=any_user(), options=("--max-size", "1G")).report
    assert found["left_out"] is None
    assert found["touched"]["left_out"] == 0


@pytest.mark.parametrize("size", ["", "x", "10X", "-1", "0", "63k", "1.5.2M", "nan", "1e9", "9" * 30, "8388608T"])
def test_no_size(size: str) -> None:
    for words in (["--max-size", size], [f"--max-size={size}"]):
        assert_one_line(cli("run", *words, TARGETS / "hello.py"))


# Disks


def test_an_output_that_fails_midway() -> None:
    """As on a full disk: the file stays as it is, readable, and one line says what is missing. There is a little room
    again at the end: how much the last block that went in leaves is chance, and can be too little for the end."""
    user = any_user()
    need_faults(user)
    path = new_folder(user) / "x.pmt"
    command = pymemtrace("run", "-q", "--exact", "-o", path, TARGETS / "on_command.py", "1", "40000")
    process = popen(command, user=user, stdin=subprocess.PIPE)
    answer(process, b"ready")
    [recorder] = holders(path)
    _, hard = resource.prlimit(recorder, resource.RLIMIT_FSIZE)
    resource.prlimit(recorder, resource.RLIMIT_FSIZE, (60_000, hard))
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()
    answer(process, b"done")
    time.sleep(0.5)  # a block is written every tenth of a second
    resource.prlimit(recorder, resource.RLIMIT_FSIZE, (64_000, hard))
    stdout, stderr = process.communicate(b"\n", 60)
    assert path.stat().st_size <= 64_000
    assert process.returncode == 0
    truth = json.loads(stdout.splitlines()[-1])
    assert truth["pages"] == 80_000
    [line] = text(stderr).splitlines()
    assert "the trace is incomplete: File too large" in line
    assert "faults" in line
    found = report(path, user=user)
    assert found["end"] == {"kind": "exit", "value": 0}
    assert "File too large" in found["left_out"]["reason"]
    assert_books_close(found, truth["pages"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("size", ["8k", "120k"])
def test_a_full_disk(size: str) -> None:
    """8k: full from the first block on; 120k: midway."""
    disk, folder = new_folder("root"), new_folder("root")
    traced = " ".join(pymemtrace("run", "-q", "--exact", "-o", disk / "x.pmt", TARGETS / "scattered.py", str(PAGES)))
    script = (
        f"mount -t tmpfs -o size={size} tmpfs {disk} && echo mounted >{folder}/mounted && {traced}; status=$?; "
        f"cp {disk}/x.pmt {folder}/x.pmt; exit $status"
    )
    done = run(["unshare", "-m", "sh", "-c", script])
    if not (folder / "mounted").exists():
        pytest.skip(f"no disk can be mounted here: {done.stderr}")
    assert done.status == 0
    assert done.truth["pages"] == PAGES
    [line] = done.stderr.splitlines()
    assert "the trace is incomplete: No space left on device" in line
    if size != "8k":
        found = report(folder / "x.pmt")
        assert found["end"] in ({"kind": "exit", "value": 0}, {"kind": "truncated", "value": None})
        assert any(row["function"] == "touch" for row in found["by_function"])


@each_user
def test_no_file_may_grow(user: str) -> None:
    """RLIMIT_FSIZE 0: neither the recorder nor the program dies of SIGXFSZ."""
    limits = {resource.RLIMIT_FSIZE: 0}
    bare, traced, path = both(TARGETS / "touching_threads.py", "named", user=user, limits=limits)
    assert (traced.status, bare.status) == (0, 0)
    assert traced.truth["pages"] == bare.truth["pages"]
    if user == "unprivileged":  # root's recorder may lift the limit
        assert traced.stderr == "pymemtrace: the trace is incomplete: File too large\n"
    human = cli("run", "-f", "-o", path, TARGETS / "hello.py", user=user, limits=limits)
    assert human.status == 0
    assert "nothing is recorded" in human.stderr
    assert "Traceback" not in human.stderr


# Outputs that are no files


@pytest.mark.parametrize("force", [[], ["-f"]], ids=["", "force"])
def test_a_pipe_nobody_reads(force: list[str]) -> None:
    folder = new_folder(any_user())
    os.mkfifo(folder / "pipe")
    done = cli("run", *force, "-o", folder / "pipe", TARGETS / "hello.py", timeout=10)
    assert_one_line(done)
    assert (folder / "pipe").is_fifo(), "it is not ours to remove"


@pytest.mark.parametrize("force", [[], ["-f"]], ids=["", "force"])
@pytest.mark.parametrize("device", ["/dev/stdout", "/dev/full", "/dev/null", "/dev/fd/2"])
def test_a_device(device: str, force: list[str]) -> None:
    assert_one_line(cli("run", *force, "-o", device, TARGETS / "hello.py", timeout=10))
    assert os.path.exists(device)


# Limits of the whole run


@each_user
@pytest.mark.parametrize("descriptors", [32, 16, 10])
def test_few_descriptors_suffice(descriptors: int, user: str) -> None:
    need_faults(user)
    few = trace("touching_threads.py", "named", user=user, limits={resource.RLIMIT_NOFILE: descriptors})
    assert (few.status, few.stderr) == (0, "")
    assert_pages(few.function("touch")["self"], few.truth["pages"])


@pytest.mark.parametrize("descriptors", [8, 7, 6, 5])
def test_too_few_descriptors(descriptors: int) -> None:
    """The program runs as without us, and one line says so, even when quiet."""
    limits = {resource.RLIMIT_NOFILE: descriptors}
    for way in "exit_3", "exception":
        bare, traced, path = both(TARGETS / "endings.py", way, limits=limits)
        assert (traced.status, traced.stdout) == (bare.status, bare.stdout)
        ours, _, theirs = traced.stderr.partition("\n")
        assert theirs == bare.stderr
        assert "untraced" in ours
        assert "RLIMIT_NOFILE" in ours
        assert not path.exists()


@pytest.mark.parametrize("arguments", [["-c", "import sys; print(sys.argv)", "-x"], ["-m", "main_facts", "y"]])
def test_other_forms_with_too_few_descriptors(arguments: list[str]) -> None:
    bare, traced, _ = both(*arguments, limits={resource.RLIMIT_NOFILE: 8}, cwd=TARGETS)
    assert (traced.status, traced.stdout) == (bare.status, bare.stdout)


@each_user
@pytest.mark.parametrize("mib", [200, 1000])
def test_little_address_space(mib: int, user: str) -> None:
    """Our buffers could be missed: the program runs untraced, and the report says why."""
    limits = {resource.RLIMIT_AS: mib << 20}
    bare, traced, path = both(TARGETS / "endings.py", "exit_3", user=user, limits=limits)
    assert_same(bare, traced)
    found = report(path, user=user)
    assert found["engine"]["name"] == "none"
    assert "RLIMIT_AS" in found["engine"]["reason"]
    assert "RLIMIT_AS" in cli("report", path, user=user).stdout
    loud = cli("run", "-f", "-o", path, TARGETS / "hello.py", user=user, limits=limits)
    assert "RLIMIT_AS" in loud.stderr


def test_ample_address_space() -> None:
    need_faults(any_user())
    ample = trace("endings.py", "exit_3", user=any_user(), limits={resource.RLIMIT_AS: 8 << 30})
    assert_pages(ample.function("touch")["self"], ample.truth["pages"])


# Folders that are not there


def test_without_dev_shm() -> None:
    need_faults("root")
    path = new_folder("root") / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "endings.py", "exit_3")
    prepare = "mkdir -p /dev/shm; mount -t tmpfs -o size=0,nr_inodes=1,ro tmpfs /dev/shm"
    done = in_a_world_of_its_own(prepare, command)
    assert (done.status, done.stderr) == (3, "")
    found = report(path)
    assert_pages(sum(r["self"] for r in found["by_function"] if r["function"] == "touch"), done.truth["pages"])


def test_without_proc() -> None:
    """The program runs as ever; its user and whoever reads the trace are told the cause and what helps."""
    path = new_folder("root") / "x.pmt"
    command = pymemtrace("run", "-o", path, TARGETS / "endings.py", "exit_3")
    done = in_a_world_of_its_own("mount -t tmpfs none /proc", command)
    cause = "/proc is not mounted: RSS cannot be read; mount -t proc proc /proc"
    assert done.status == 3
    assert f"pymemtrace: nothing is recorded: {cause}" in done.stderr.splitlines()
    said = [cli(verb, path).stdout for verb in ("info", "report")]
    for shown in (done.stderr, *said):
        assert cause in shown
        assert "paranoid" not in shown
        assert "still running" not in shown
    found = json.loads(cli("report", "--json", path).stdout)
    assert (found["engine"]["reason"], found["end"]) == (cause, {"kind": "exit", "value": None})


def test_a_home_that_cannot_be_written() -> None:
    need_faults("root")
    home, path = new_folder("root"), new_folder("root") / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "endings.py", "exit_3")
    prepare = f"mount -t tmpfs -o ro tmpfs {home} && export HOME={home} && ! touch {home}/x 2>/dev/null"
    done = in_a_world_of_its_own(prepare, command)
    assert (done.status, done.stderr) == (3, "")
    assert report(path)["end"] == {"kind": "exit", "value": 3}


# What the environment changes


@each_user
@pytest.mark.parametrize("allocator", ["malloc", "malloc_debug", "pymalloc_debug"])
def test_python_allocators(allocator: str, user: str) -> None:
    need_faults(user)
    env = {**os.environ, "PYTHONMALLOC": allocator, "LC_ALL": "C.UTF-8"}
    path = new_folder(user) / "x.pmt"
    done = run(pymemtrace("run", "-q", "-o", path, TARGETS / "touching_threads.py", "named"), user=user, env=env)
    assert (done.status, done.stderr) == (0, "")
    found = report(path, user=user)
    touched = sum(row["self"] for row in found["by_function"] if row["function"] == "touch")
    assert_pages(touched, done.truth["pages"], slack=20)
    assert f", allocator {allocator} over " in cli("info", path, user=user).stdout


LIBRARIES = {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.2"}


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("target", [("touching_threads.py", "named"), ("touch_kinds.py", "list_append")])
def test_preloaded_allocators(name: str, target: tuple[str, str]) -> None:
    library = LIBRARIES[name]
    env = {**os.environ, "LD_PRELOAD": library, "LC_ALL": "C.UTF-8"}
    if name not in run([sys.executable, "-c", "print(open('/proc/self/maps').read())"], env=env).stdout:
        pytest.skip(f"{library} is not installed (make test installs it)")
    need_faults(any_user())
    bare, traced, path = both(TARGETS / target[0], target[1], env=env)
    assert (bare.status, traced.status) == (0, 0)
    assert traced.stderr == bare.stderr
    found = report(path)
    function = "touch" if target[0].startswith("touching") else target[1]
    touched = sum(row["self"] for row in found["by_function"] if row["function"] == function)
    if function == "touch":
        assert_pages(touched, traced.truth["pages"], slack=20)
    else:
        assert touched >= 0.95 * traced.truth["rise"] * PAGE
    assert f" over {library}" in cli("info", path).stdout


def test_the_recorder_is_not_preloaded() -> None:
    """The program's LD_PRELOAD is not the recorder's."""
    path = new_folder(any_user()) / "x.pmt"
    env = {**os.environ, "MARK_OF_THIS_TEST": "1"}
    process = popen(pymemtrace("run", "-q", "-o", path, TARGETS / "waiting.py", "default"), user=any_user(), env=env)
    answer(process, b"ready")
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in holders(path)]
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert environments == [b""]


def available_memory() -> int:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) << 10


@pytest.mark.skipif(available_memory() < 2 << 30, reason="1,024 threads need 640 MiB for their events")
def test_more_threads_than_are_recorded() -> None:
    found = trace("many_threads.py", "1100", options=("--calls", "--no-c-calls"))
    assert (found.status, found.stdout) == (0, "1100\n")
    counters = json.loads(cli("info", "--json", found.path).stdout)["processes"][0]["counters"]
    assert 0 < counters["events_lost_slotless"] == counters["events_lost"]
    assert 0 < counters["lost_slotless"] == counters["lost"]
    for verb, word in (("log", "event"), ("report", "fault")):
        assert f"{word}s of threads beyond the 1,024 that are recorded at a time" in cli(verb, found.path).stdout
