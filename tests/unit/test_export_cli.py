"""`pymemtrace export`: where it writes to, what it refuses, that it leaves nothing half-written."""

import os
import pty
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from export_help import cli, export, made, plain, refused

from pymemtrace.export.formats import FORMATS

needs_arrow = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import pyarrow"], capture_output=True).returncode != 0,
    reason="needs pyarrow: pip install pyarrow",
)
ALL = [pytest.param(name, marks=needs_arrow if name in ("arrow", "parquet") else ()) for name in FORMATS]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return made(tmp_path)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("form", ALL)
def test_the_same_trace_gives_the_same_bytes(form: str, trace: Path) -> None:
    first = export(trace, form).read_bytes()
    assert first and export(trace, form).read_bytes() == first
    assert left(trace.parent) == ["made.pmt", f"made.pmt.{form}"]


@pytest.mark.parametrize("form", ALL)
def test_a_pipe_gets_what_a_file_gets(form: str, trace: Path) -> None:
    for words in ["--format", form, trace], ["--format", form, trace, "-o", "-"]:
        done = cli(*words)
        assert done.returncode == 0 and done.stderr == b""
        assert done.stdout == export(trace, form).read_bytes()


@pytest.mark.parametrize("form", ALL)
def test_a_cut_trace_is_exported_as_far_as_it_goes(form: str, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = trace.with_name("cut.pmt")
    data = plain(trace.parent).read_bytes()
    cut.write_bytes(data[: len(data) - 40])
    assert export(cut, form).stat().st_size
    assert "cut off" in capsys.readouterr().err


@pytest.mark.parametrize("form", ALL)
def test_a_full_disk_is_one_line(form: str, trace: Path) -> None:
    assert "No space left on device" in refused("--format", form, trace, "-o", "/dev/full")


@pytest.mark.parametrize("form", ["csv", "pprof"])
def test_a_full_standard_output_is_one_line(form: str, trace: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pymemtrace", "export", "--format", form, trace],
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"No space left on device" in done.stderr


def test_what_is_no_trace(tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert "No such file" in refused("--format", "csv", tmp_path / "none.pmt", "-o", target)
    (tmp_path / "text").write_text("hello " * 100)
    assert "text: " in refused("--format", "pprof", tmp_path / "text", "-o", target)
    assert "is a directory" in refused("--format", "json", tmp_path)
    assert "no process 7" in refused("--format", "perfetto", plain(tmp_path), "--pid", "7", "-o", target)
    assert left(tmp_path) == ["plain.pmt", "text"]


def test_targets_that_are_refused(trace: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("mine")
    target.chmod(0o640)
    assert "overwrite it with -f" in refused("--format", "csv", trace, "-o", target)
    assert target.read_text() == "mine"
    assert "is the trace itself" in refused("--format", "csv", trace, "-f", "-o", trace)
    (tmp_path / "link").symlink_to(trace)
    assert "is the trace itself" in refused("--format", "csv", trace, "-f", "-o", tmp_path / "link")
    assert "is a directory" in refused("--format", "csv", trace, "-f", "-o", tmp_path)
    assert "No such file" in refused("--format", "csv", trace, "-o", tmp_path / "none" / "out.csv")
    assert left(tmp_path) == ["link", "made.pmt", "out.csv"]
    assert cli("--format", "csv", trace, "-f", "-o", target).returncode == 0
    assert target.read_text().startswith("t,pid") and stat.S_IMODE(target.stat().st_mode) == 0o640


def test_options_that_a_format_does_not_take(trace: Path) -> None:
    assert "choose from" in refused("--format", "svg", trace)
    assert "--table cannot be used with --format pprof" in refused("--format", "pprof", "--table", "events", trace)
    assert "--format perfetto" in refused("--format", "perfetto", "--touched", trace)
    assert "--full-paths cannot be used" in refused("--format", "csv", "--full-paths", trace)
    assert "--table owners" in refused("--format", "csv", "--at", "end", "--table", "events", trace)
    assert "no snapshot" in refused("--format", "collapsed", "--at", "never", trace)


def test_arrow_without_pyarrow(trace: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "pyarrow").mkdir(parents=True)
    (hidden / "pyarrow" / "__init__.py").write_text("raise ImportError('hidden')")
    path = os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])
    for form in ("arrow", "parquet"):
        done = cli("--format", form, trace, "-o", tmp_path / "x", PYTHONPATH=path)
        assert (done.returncode, done.stdout) == (2, b"") and done.stderr.count(b"\n") == 1
        assert b"pip install 'pymemtrace[arrow]'" in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("form", [name for name, form in FORMATS.items() if form.binary])
def test_a_terminal_gets_no_binary(form: str, trace: Path) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "pymemtrace", "export", "--format", form, trace]
    done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, timeout=60)
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 2 and b"not for a terminal" in done.stderr and b"-o" in done.stderr


def test_ctrl_c_leaves_nothing(trace: Path) -> None:
    from pymemtrace.export import output

    folder = trace.parent / "out"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt), output.file(str(folder / "x"), False, str(trace)) as out:
        out.write(b"half")
        assert left(folder)
        signal.raise_signal(signal.SIGINT)
    assert left(folder) == []


def test_a_target_that_appears_meanwhile_stays(trace: Path, tmp_path: Path) -> None:
    from pymemtrace.export import output

    target = tmp_path / "x"
    with pytest.raises(output.OutputError, match="exists already"), output.file(str(target), False, str(trace)) as out:
        out.write(b"ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs" and left(tmp_path) == ["made.pmt", "x"]


def test_a_pipe_as_target(trace: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    assert cli("--format", "csv", trace, "-o", fifo).returncode == 0
    reader.join(10)
    assert got == [export(trace, "csv").read_bytes()]


def test_help_names_every_format() -> None:
    text = cli("--help").stdout.decode()
    assert all(f"  {name} " in text for name in FORMATS) and "examples:" in text
    assert max(map(len, text.splitlines())) < 100
