"""The timer engine: where the kernel refuses page faults, or when asked for. The program cannot tell it either."""

from __future__ import annotations

import json
import sys

import pytest

from integration.harness import (
    TARGETS,
    any_user,
    assert_one_line,
    assert_same,
    cli,
    new_folder,
    pymemtrace,
    report,
    run,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())


def traced_and_bare(target: str, *arguments: str, user: str, options: tuple[str, ...] = ()) -> None:
    """Output and exit status under ticks are the bare program's."""
    bare = run([sys.executable, TARGETS / target, *arguments], user=user)
    path = new_folder(user) / "x.pmt"
    ticked = run(
        pymemtrace("run", "-q", "-o", path, "--engine=timer", *options, TARGETS / target, *arguments), user=user
    )
    assert_same(bare, ticked)
    assert report(path, user=user)["engine"]["name"] == "timer"


@each_user
def test_the_reason_is_in_every_report(user: str) -> None:
    refused = trace("growing.py", "one_thread", user=user, refuse_perf=1)
    engine = refused.report["engine"]
    assert engine["name"] == "timer"
    assert "perf_event_open" in engine["reason"]
    for verb in "report", "tree", "info":
        done = cli(verb, refused.path, user=user)
        words = " ".join(done.stdout.split())
        assert "timer (growth between ticks" in words
        assert "page faults cannot be traced: perf_event_open" in words
        assert "perf_event_paranoid" in words, "the knob"
    facts = json.loads(cli("info", refused.path, "--json", user=user).stdout)
    assert facts["engine"] == engine
    assert facts["processes"][0]["counters"]["ticks"] >= facts["file"]["fault_records"] > 50


def test_run_says_which_engine_it_takes() -> None:
    path = new_folder(any_user()) / "x.pmt"
    refused = cli("run", "-o", path, TARGETS / "hello.py", refuse_perf=1)
    [notice] = [
        line for line in refused.stderr.splitlines() if line.startswith("pymemtrace: page faults cannot be traced: ")
    ]
    assert notice.endswith("using timer ticks instead (less exact)")
    asked = cli("run", "-f", "-o", path, "--engine", "timer", TARGETS / "hello.py")
    assert "cannot be" not in asked.stderr
    assert "engine: timer (growth between ticks of a few ms, approximate); asked for" in asked.stderr
    assert report(path)["engine"] == {"name": "timer", "reason": "asked for", "period": 0, "period_changes": 0}


def test_asking_for_faults_only_or_for_nothing() -> None:
    path = new_folder(any_user()) / "x.pmt"
    faults = cli("run", "-o", path, "--engine", "faults", TARGETS / "hello.py", refuse_perf=1)
    assert "ticks" not in faults.stderr
    assert report(path)["engine"]["name"] == "none"
    assert cli("run", "-q", "-f", "-o", path, "--engine", "none", TARGETS / "hello.py").stderr == "to stderr\n"
    assert report(path)["engine"] == {"name": "none", "reason": "asked for", "period": 0, "period_changes": 0}


@pytest.mark.parametrize("way", ["handlers", "defaults", "waiting", "kinds"])
@each_user
def test_real_time_signals_are_the_programs(way: str, user: str) -> None:
    traced_and_bare("real_time_signals.py", way, user=user)


@each_user
def test_a_fork_child_that_is_not_followed_has_no_ticks(user: str) -> None:
    traced_and_bare("real_time_signals.py", "fork", user=user, options=("--no-follow",))


@each_user
def test_a_fork_child_has_ticks_of_its_own(user: str) -> None:
    followed = trace("real_time_signals.py", "fork", user=user, options=("--engine", "timer"))
    assert followed.stdout.startswith("timers of the child: 1\n")
    facts = json.loads(cli("info", followed.path, "--json", user=user).stdout)
    assert [process["engine"]["name"] for process in facts["processes"]] == ["timer", "timer"]
    assert all(process["touched"] > 10 << 20 for process in facts["processes"])


@pytest.mark.parametrize("way", ["libc", "python"])
@each_user
def test_no_tick_hits_a_sleeping_thread(way: str, user: str) -> None:
    """No system call ends early or with EINTR, although each thread has ticks between its sleeps."""
    traced_and_bare("sleeping.py", way, user=user)


@pytest.mark.parametrize("way", ["thread", "alternate", "forked"])
@each_user
def test_little_stack(way: str, user: str) -> None:
    traced_and_bare("small_stacks.py", way, user=user)


@pytest.mark.parametrize("way", ["exit_3", "exception", "os_exit_7", "keyboard_interrupt", "SIGKILL"])
def test_endings(way: str) -> None:
    traced_and_bare("endings.py", way, user=any_user())


@pytest.mark.parametrize("way", ["once", "often", "subprocess", "threads"])
@each_user
def test_forking(way: str, user: str) -> None:
    traced_and_bare("forking.py", way, user=user)


def test_threads_that_come_and_go_leave_no_timers() -> None:
    run = trace("come_and_go.py", options=("--engine", "timer"))
    assert (run.status, run.stderr) == (0, "")
    assert 1 < run.truth["most"] < 200, "threads get ticks, and ended ones do not pile up"
    assert run.truth["end"] == 1, "only the main thread is left"
    assert run.function("work_unknown", "come_and_go.py")["total"] > 0, "a thread unknown to threading is found"


def test_surroundings() -> None:
    """Only the one signal's disposition differs, in the kernel's eyes; not in Python's."""
    command = [TARGETS / "surroundings.py"]
    bare = run([sys.executable, *command], user=any_user())
    path = new_folder(any_user()) / "x.pmt"
    ticked = run(pymemtrace("run", "-q", "-o", path, "--no-follow", "--engine", "timer", *command), user=any_user())
    before, after = json.loads(bare.stdout), json.loads(ticked.stdout)
    caught = [int(facts["signal masks"].pop("SigCgt"), 16) for facts in (before, after)]
    assert (caught[0] ^ caught[1]).bit_count() == 1
    for facts in before, after:
        facts.pop("session")  # each run has one of its own
    assert after == before


def test_options_that_contradict_each_other() -> None:
    for words, named in [
        (["--exact", "--engine", "timer"], ["--exact", "--engine timer"]),
        (["--engine=perf"], ["perf", "faults, timer or none"]),
        (["--engine"], ["--engine"]),
    ]:
        done = cli("run", *words, *([] if words == ["--engine"] else [TARGETS / "hello.py"]))
        assert_one_line(done)
        assert all(name in done.stderr for name in named)
