"""`report`, `tree` and `info`: their tables, their JSON, and one clear line for what cannot be read."""

from __future__ import annotations

import json
import os
import platform
import pty
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    TARGETS,
    TIMEOUT,
    Traced,
    any_user,
    assert_one_line,
    cached_trace,
    cli,
    environment,
    need_faults,
    new_folder,
    pymemtrace,
    report,
    unprivileged,
)

VERBS = ["report", "tree", "info"]
NUMBER = (int, float)
QUIET_TERMINAL = {"NO_COLOR": "1", "TERM": "xterm-256color"}


@pytest.fixture(scope="module")
def traced() -> Traced:
    """The trace of a program with three functions and three more threads."""
    need_faults(any_user())
    return cached_trace("touching_threads.py", "named", user=any_user())


@pytest.fixture(scope="module")
def path(traced: Traced) -> Path:
    return traced.path


# JSON


SCHEMA: dict[str, Any] = {
    "schema": int,
    "quantity": str,
    "command": [str],
    "python": str,
    "kernel": str,
    "engine": {"name": str, "reason": (str, type(None)), "period": int, "period_changes": object},
    "end": {"kind": str, "value": (int, type(None))},
    "duration_s": NUMBER,
    "rss": {"start": int, "peak": int, "end": int},
    "processes": [{"pid": int, "parent": int, "touched": int, "rss": object, "end": object}],
    "touched": {"total": int, "kernel": int, "tracer": int},
    "by_line": [
        {"file": (str, type(None)), "line": (int, type(None)), "function": str}
        | {"self": int, "total": int, "faults": int, "exact": int, "fill": int, "by_time": int}
    ],
    "by_function": [
        {"file": (str, type(None)), "first_line": (int, type(None)), "function": str}
        | {"self": int, "total": int, "faults": int, "exact": int, "fill": int, "by_time": int}
    ],
    "by_module": [{"self": int, "total": int, "faults": int}],
    "by_file": [{"file": str, "self": int, "total": int, "faults": int}],
    "by_thread": [{"pid": int, "tid": int, "name": str, "bytes": int}],
}


def check(value: Any, shape: Any, where: str) -> None:
    """`value` has at least the fields of `shape`, with these types."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for name, inner in shape.items():
            assert name in value, f"{where} has no {name}"
            check(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        assert value, f"{where} is empty"
        for number, item in enumerate(value):
            check(item, shape[0], f"{where}[{number}]")
    else:
        assert isinstance(value, shape), f"{where} is {value!r}"


def test_schema(traced: Traced) -> None:
    check(traced.report, SCHEMA, "report")


def test_values(traced: Traced) -> None:
    found = traced.report
    assert found["schema"] == 1
    assert found["quantity"] == "touched"
    assert found["command"][-2:] == [str(TARGETS / "touching_threads.py"), "named"]
    assert platform.python_version() in found["python"]
    assert platform.release() in found["kernel"]
    assert found["engine"]["name"] == "faults"
    assert found["end"] == {"kind": "exit", "value": 0}
    assert 0 < found["duration_s"] < TIMEOUT
    assert 0 < found["rss"]["start"] < found["rss"]["peak"]
    assert found["rss"]["end"] <= found["rss"]["peak"]
    [process] = found["processes"]
    assert sum(row["self"] for row in found["by_line"]) <= process["touched"] <= found["touched"]["total"]
    assert {row["pid"] for row in found["by_thread"]} == {process["pid"]}


def test_rows_are_sorted_and_unique(traced: Traced) -> None:
    for table, key in ("by_line", ("file", "line", "function")), ("by_function", ("file", "first_line", "function")):
        rows = traced.report[table]
        assert [row["self"] for row in rows] == sorted((row["self"] for row in rows), reverse=True)
        keys = [tuple(row[name] for name in key) for row in rows]
        assert len(keys) == len(set(keys)), table
        assert all(row["total"] >= row["self"] for row in rows)


def test_total_closes(traced: Traced) -> None:
    touched = traced.report["touched"]
    by_line = sum(row["self"] for row in traced.report["by_line"])
    assert touched["total"] == by_line + touched["kernel"] + touched["tracer"]


def test_touched_is_the_default(path: Path, traced: Traced) -> None:
    assert report(path, "--touched") == traced.report


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_one_object_the_same_each_time(verb: str, path: Path) -> None:
    first, second = cli(verb, path, "--json"), cli(verb, path, "--json")
    assert (first.status, first.stderr) == (0, "")
    assert isinstance(json.loads(first.stdout), dict)
    assert first.stdout == second.stdout


def test_one_process(path: Path, traced: Traced) -> None:
    pid = traced.report["processes"][0]["pid"]
    one = report(path, "--pid", str(pid))
    for table in "by_line", "by_function", "by_module", "by_file", "by_thread":
        assert one[table] == traced.report[table]
    assert_one_line(cli("report", path, "--json", "--pid", "1"))
    done = cli("report", path, "--pid", "not-a-number")
    assert done.status == 2
    assert "Traceback" not in done.stderr


# For people


def test_report_for_people(path: Path) -> None:
    done = cli("report", path)
    assert (done.status, done.stderr) == (0, "")
    for part in (
        "Resident by line",
        "touch",
        "touching_threads.py",
        "toucher-3",
        "MiB",
        "faults",
        platform.python_version(),
    ):
        assert part in done.stdout, part


def test_tree_for_people(path: Path) -> None:
    done = cli("tree", path)
    assert (done.status, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    work = next(number for number, line in enumerate(lines) if "work" in line)
    assert any("touch" in line and "work" not in line for line in lines[work + 1 :]), "callees stand below their caller"


def test_info_for_people(path: Path, traced: Traced) -> None:
    done = cli("info", path)
    assert (done.status, done.stderr) == (0, "")
    for part in "touching_threads.py", platform.python_version(), platform.release(), "faults":
        assert part in done.stdout, part


@pytest.mark.parametrize("verb", VERBS)
def test_plain_when_piped_and_repeatable(verb: str, path: Path) -> None:
    first, second = cli(verb, path), cli(verb, path)
    assert "\x1b" not in first.stdout
    assert first.stdout == second.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_no_colour_on_a_terminal_that_asks_for_none(verb: str, path: Path) -> None:
    terminal, end = pty.openpty()
    command = pymemtrace(verb, path)
    with subprocess.Popen(command, stdout=end, stderr=end, env=environment(**QUIET_TERMINAL)) as done:
        os.close(end)
        shown = b""
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    os.close(terminal)
    assert done.returncode == 0
    assert b"touch" in shown
    assert not [code for code in (b"\x1b[3", b"\x1b[9", b"\x1b[4") if code in shown]


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_that_leaves_early(verb: str, path: Path) -> None:
    """`pymemtrace report x.pmt | head -0`."""
    receive, send = os.pipe()
    os.close(receive)
    done = subprocess.run(
        pymemtrace(verb, path), stdout=send, stderr=subprocess.PIPE, env=environment(), timeout=TIMEOUT
    )
    os.close(send)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("verb", ["run", *VERBS])
def test_help(verb: str) -> None:
    done = cli(verb, "--help")
    assert (done.status, done.stderr) == (0, "")
    assert f"pymemtrace {verb}" in done.stdout
    assert "xample" in done.stdout


def test_help_names_every_verb() -> None:
    done = cli("--help")
    assert done.status == 0
    assert all(verb in done.stdout for verb in ["run", *VERBS])


# What cannot be read


def flip(at: float) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        position = int(len(data) * at)
        return data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]

    return change


def header(offset: int, value: int, size: int) -> Callable[[bytes], bytes]:
    """Another value in the header, with a right checksum (docs/format.md 2)."""

    def change(data: bytes) -> bytes:
        head = data[:offset] + value.to_bytes(size, "little") + data[offset + size : 60]
        return head + zlib.crc32(head).to_bytes(4, "little") + data[64:]

    return change


def second_first(data: bytes) -> bytes:
    """The first block numbered like the second, with a right checksum (docs/format.md 3)."""
    end = 84 + int.from_bytes(data[72:76], "little")
    numbered = data[64:68] + (1).to_bytes(4, "little") + data[72:80]
    checksum = zlib.crc32(data[84:end], zlib.crc32(numbered))
    return data[:64] + numbered + checksum.to_bytes(4, "little") + data[84:]


BAD_FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one_byte": lambda data: data[:1],
    "half_a_header": lambda data: data[:32],
    "text": lambda data: b"just some text\n" * 100,
    "zeros": lambda data: bytes(8192),
    "program": lambda data: Path(sys.executable).resolve().read_bytes()[:100_000],
    "zip": lambda data: b"PK\x03\x04" + data[4:],
    "line_ends_converted": lambda data: data.replace(b"\r\n", b"\n"),
    "future_version": header(8, 2, 2),
    "far_future_version": header(8, 65535, 2),
    "unknown_feature": header(16, 1 << 31, 8),
    "other_byte_order": header(12, 0x04030201, 4),
    "bad_header_checksum": lambda data: data[:32] + bytes([data[32] ^ 1]) + data[33:],
    "block_out_of_sequence": second_first,
    "bad_byte_at_the_front": lambda data: flip(100 / len(data))(data),
    "bad_byte_at_a_third": flip(1 / 3),
    "bad_byte_in_the_middle": flip(0.5),
    "bad_byte_at_two_thirds": flip(2 / 3),
    "garbage_behind": lambda data: data + b"\xff" * 100,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("bad", BAD_FILES)
def test_bad_files(bad: str, verb: str, path: Path) -> None:
    changed = new_folder(any_user()) / "bad.pmt"
    changed.write_bytes(BAD_FILES[bad](path.read_bytes()))
    done = cli(verb, changed)
    assert_one_line(done)
    assert "bad.pmt" in done.stderr
    if "future_version" in bad:
        assert "version" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_no_file(verb: str) -> None:
    folder = new_folder(any_user())
    done = cli(verb, folder / "missing.pmt")
    assert_one_line(done)
    assert "missing.pmt" in done.stderr
    assert_one_line(cli(verb, folder))


@pytest.mark.skipif(not unprivileged(), reason="cannot become unprivileged")
def test_unreadable_file(path: Path) -> None:
    closed = new_folder("unprivileged") / "closed.pmt"
    shutil.copy(path, closed)
    closed.chmod(0)
    assert_one_line(cli("report", closed, user="unprivileged"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-verb"],
        ["report"],
        ["report", "--no-such-option"],
        ["log", "a.pmt", "--min-change", "x"],
        ["log", "a.pmt", "--csv", "--json"],
        [],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = cli(*arguments)
    if arguments:
        assert_one_line(done)
        assert "--help)" in done.stderr


# Sources and words


def test_source_that_has_changed_since_it_ran() -> None:
    user = any_user()
    need_faults(user)
    folder = new_folder(user)
    program, path = folder / "app.py", folder / "app.pmt"
    program.write_text("kept = bytearray(8 << 20)\n")
    done = subprocess.run(pymemtrace("run", "-q", "-o", path, program), capture_output=True)
    assert done.returncode == 0
    notice = "The source has changed since it ran"
    shown = cli("lines", path).stdout
    assert "kept = bytearray" in shown and notice not in shown
    program.write_text("# another line\nkept = bytearray(8 << 20)\n")
    assert notice in cli("lines", path).stdout


def test_a_word_too_many_is_the_verbs_error(path: Path) -> None:
    done = cli("report", path, "stray")
    assert_one_line(done)
    assert "report: unrecognized arguments: stray (see pymemtrace report --help)" in done.stderr
