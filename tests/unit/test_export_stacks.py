"""Collapsed stacks, speedscope and pprof: what they say of each stack is what the oracle says; real tools read them."""

import gzip
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from export_help import PAGE, export, made, plain

from oracle import events, pmt, sums, synth

Stacks = dict[tuple[str, ...], int]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return made(tmp_path)


def touched(path: Path, with_line: bool = True) -> Stacks:
    """Bytes by stack, from the oracle; native code as its library."""
    found = sums.aggregate(pmt.decode(path))
    stacks: Stacks = Counter()
    for node in found.tree:
        frames, at = [], node
        while at.frame is not None:
            frames.append(f"{at.frame.name} ({at.frame.file}:{at.frame.line})" if with_line else at.frame.name)
            at = found.tree[at.parent]
        if node.cost.self and frames:
            stacks[tuple(reversed(frames))] += node.cost.self
    for (library, _offset), cost in found.native.items():
        stacks[f"<{library.rpartition('/')[2]}>" if library else "<native code>",] += cost.self
    stacks["[kernel]",] += found.touched_kernel
    stacks["[tracer]",] += found.touched_tracer
    return {stack: size for stack, size in stacks.items() if size}


# Collapsed stacks


def collapsed(text: str) -> Stacks:
    """As flamegraph.pl reads it, whose pattern this is."""
    stacks: Stacks = Counter()
    for line in text.splitlines():
        match = re.fullmatch(r"(.*)\s+?(\d+(?:\.\d*)?)", line)
        assert match, line
        stacks[tuple(match[1].split(";"))] += int(match[2])
    return stacks


def test_collapsed(trace: Path) -> None:
    found = collapsed(export(trace, "collapsed", "--touched", "--full-paths").read_text())
    merged: Stacks = Counter()
    for (process, *frames), size in found.items():
        assert process in ("process 100", "process 200")
        merged[tuple(frames)] += size
    assert merged == touched(trace)
    assert found["process 200", "grow (/app/lib.py:11)"] == 5 * PAGE
    alone = collapsed(export(trace, "collapsed", "--touched", "--pid", "200").read_text())
    assert alone == {("grow (lib.py:11)",): 5 * PAGE}


def test_collapsed_adds_up_to_rss(trace: Path) -> None:
    from pymemtrace.tracefile import TraceFile

    found = collapsed(export(trace, "collapsed", "--pid", "100").read_text())
    at = TraceFile(trace, 100, "peak").at
    assert at is not None and at.unexplained >= 0
    assert sum(found.values()) == at.rss
    assert found["[before the start]",] == at.before_start == 1000 * PAGE


def test_collapsed_of_hostile_names(tmp_path: Path) -> None:
    text = export(made(tmp_path, hostile=True), "collapsed", "--touched").read_text()
    assert all(line.isprintable() for line in text.split("\n"))
    assert sum(collapsed(text).values()) == sum(touched(made(tmp_path)).values())
    assert any(frame.startswith('a:b "c"\\n\\x1b[31m') for stack in collapsed(text) for frame in stack)


@pytest.mark.parametrize("seed", range(4))
def test_collapsed_of_random_traces(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "random.pmt"
    path.write_bytes(synth.random_trace(seed).finish())
    found = collapsed(export(path, "collapsed", "--touched").read_text())
    assert sum(found.values()) == sum(touched(path).values())


@pytest.mark.parametrize("hostile", [False, True])
def test_flamegraph_pl_draws_it(hostile: bool, tmp_path: Path) -> None:
    script = shutil.which("flamegraph.pl", path=f"{os.environ['PATH']}:/usr/share/perl5/Devel/NYTProf")
    if script is None:
        pytest.skip("needs flamegraph.pl: apt-get install libdevel-nytprof-perl")
    path = made(tmp_path, hostile)
    command = ["perl", script, "--countname", "bytes", "--minwidth", "0"]
    done = subprocess.run(
        [*command, export(path, "collapsed", "--touched")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    titles = [element.text or "" for element in ElementTree.fromstring(done.stdout).iter() if "title" in element.tag]
    found: Counter[str] = Counter()
    for title in titles:
        match = re.fullmatch(r"(.*) \(([\d,]+) bytes, [\d.]+%\)", title)
        assert match, title
        found[match[1]] += int(match[2].replace(",", ""))
    assert found["all"] == sum(touched(path).values()) == 48 * PAGE
    assert found["process 200"] == 5 * PAGE


# Speedscope


def weights(document: dict[str, Any], profile: dict[str, Any]) -> Stacks:
    """What each stack has itself; checks that frames nest, and that values only rise."""
    stack: list[int] = []
    found: Stacks = Counter()
    last = profile["startValue"]
    names = [frame["name"] for frame in document["shared"]["frames"]]
    for event in profile["events"]:
        assert event["at"] >= last
        if stack:
            found[tuple(names[frame] for frame in stack)] += event["at"] - last
        else:
            assert event["at"] == last
        last = event["at"]
        if event["type"] == "O":
            stack.append(event["frame"])
        else:
            assert event["type"] == "C" and stack.pop() == event["frame"]
    assert stack == [] and last == profile["endValue"]
    return {key: value for key, value in found.items() if value}


def test_speedscope(trace: Path) -> None:
    document = json.loads(export(trace, "speedscope", "--touched").read_text())
    profiles = {profile["name"]: profile for profile in document["profiles"]}
    assert document["profiles"][document["activeProfileIndex"]]["name"] == "touched"
    assert weights(document, profiles["touched"]) == touched(trace, with_line=False)
    worker = weights(document, profiles["touched, thread 101 worker of process 100"])
    assert worker == {("grow",): 20 * PAGE, ("<libfoo.so>",): 4 * PAGE}
    assert {"name": "grow", "file": "/app/lib.py", "line": 11} in document["shared"]["frames"]
    names = [profile["name"] for profile in document["profiles"]]
    assert "resident at peak" in names and "time, thread 101 worker of process 100" in names
    assert export(trace, "speedscope").read_text().index('"resident at peak"') > 0


def test_speedscope_time(trace: Path) -> None:
    document = json.loads(export(trace, "speedscope").read_text())
    [profile] = [profile for profile in document["profiles"] if profile["name"] == "time"]
    assert profile["unit"] == "nanoseconds"
    own = weights(document, profile)
    tree = events.tree(pmt.decode(trace))
    assert sum(own.values()) == 920 + 80  # main, and grow on the worker
    assert own["main", "grow"] == 400 and own["grow",] == 80 and own["main", "items"] == 80
    assert len(tree) >= 4


def test_a_deep_stack(tmp_path: Path) -> None:
    path = tmp_path / "deep.pmt"
    path.write_bytes(synth.deep_trace(5000))
    document = json.loads(export(path, "speedscope", "--touched").read_text())
    assert sum(weights(document, document["profiles"][0]).values()) == 12 * PAGE
    assert export(path, "pprof").stat().st_size


def speedscope_app() -> Path | None:
    """The page of the speedscope application, where its npm package was installed."""
    folders = [REPOSITORY / "build" / "npm" / "node_modules"]
    if shutil.which("npm"):
        folders.append(Path(subprocess.run(["npm", "root", "-g"], capture_output=True, text=True).stdout.strip()))
    pages = [folder / "speedscope" / "dist" / "release" / "index.html" for folder in folders]
    return next((page for page in pages if page.exists()), None)


@pytest.mark.parametrize(("form", "hostile"), [("collapsed", True), ("speedscope", False), ("speedscope", True)])
def test_the_speedscope_application_opens_it(form: str, hostile: bool, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    page = speedscope_app()
    if browser is None or page is None:
        pytest.skip(
            "needs a browser and speedscope: apt-get install chromium; npm install --prefix build/npm speedscope"
        )
    import base64

    data = base64.b64encode(export(made(tmp_path, hostile), form).read_bytes()).decode()
    script = tmp_path / "load.js"
    script.write_text(f'speedscope.loadFileFromBase64("made.{form}", "{data}")')
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    command += ["--virtual-time-budget=4000", "--dump-dom", f"file://{page}#localProfilePath={script}"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    if form == "collapsed":
        assert "made.collapsed - speedscope" in shown and "Left Heavy" in shown
        return
    assert "resident at peak" in shown and "time, thread 100 MainThread of process 100" in shown
    assert ("app.py - speedscope" in shown) == (not hostile)


# pprof


def fields(data: bytes) -> list[tuple[int, Any]]:
    """A message's fields: numbers, and bytes. Written from the description of the encoding."""
    found, at = [], 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            found.append((key >> 3, number()))
        else:
            assert key & 7 == 2
            size = number()
            found.append((key >> 3, data[at : at + size]))
            at += size
    return found


def numbers(packed: bytes) -> list[int]:
    """Of a packed field, by way of a message that has them all."""
    out, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(value)
            value = shift = 0
    return out


def profile(path: Path) -> tuple[list[str], list[tuple[tuple[str, ...], dict[str, Any], list[int]]]]:
    """Sample types, and (stack, labels, values) of each sample."""
    message = fields(gzip.decompress(path.read_bytes()))
    strings = [value.decode() for field, value in message if field == 6]
    assert strings[0] == "" and len(set(strings)) == len(strings)
    functions = {dict(fields(f))[1]: strings[dict(fields(f))[2]] for field, f in message if field == 5}
    locations = {}
    for value in (value for field, value in message if field == 4):
        location = dict(fields(value))
        locations[location[1]] = functions[dict(fields(location[4]))[1]]
    types = [strings[dict(fields(value))[1]] for field, value in message if field == 1]
    samples = []
    for value in (value for field, value in message if field == 2):
        labels = {}
        stack: tuple[str, ...] = ()
        values: list[int] = []
        for number, content in fields(value):
            if number == 1:
                stack = tuple(reversed([locations[at] for at in numbers(content)]))
            elif number == 2:
                values = numbers(content)
            else:
                label = dict(fields(content))
                labels[strings[label[1]]] = strings[label[2]] if 2 in label else label[3]
        samples.append((stack, labels, values))
    return types, samples


def test_pprof(trace: Path) -> None:
    types, samples = profile(export(trace, "pprof"))
    assert types == ["resident", "touched", "faults", "calls", "time"]
    found: Stacks = Counter()
    for stack, _labels, values in samples:
        found[tuple(re.sub(r"^(__main__|lib)\.", "", name) for name in stack)] += values[1]
    assert {stack: size for stack, size in found.items() if size} == touched(trace, with_line=False)
    by_thread: Counter[tuple[Any, ...]] = Counter()
    for _stack, labels, values in samples:
        by_thread[labels["pid"], labels.get("tid"), labels.get("thread")] += values[1]
    assert by_thread == {
        (100, 100, "MainThread"): 10 * PAGE,
        (100, 101, "worker"): 24 * PAGE,
        (200, 200, "MainThread"): 5 * PAGE,
        (100, None, None): 9 * PAGE,
        (200, None, None): 0,
    }
    times = {(s, labels["tid"]): values[4] for s, labels, values in samples if values[4]}
    assert times[("lib.grow",), 101] == 80
    assert sum(times.values()) == 1000
    assert sum(values[3] for *_rest, values in samples) == 5  # main, grow twice, shrink, items


def test_pprof_without_calls_has_no_time(tmp_path: Path) -> None:
    types, samples = profile(export(plain(tmp_path), "pprof"))
    assert types == ["resident", "touched", "faults"]
    assert all(len(values) == 3 for *_rest, values in samples)


def go() -> str:
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        pytest.skip("needs Go: apt-get install golang-go")
    return found


@pytest.mark.parametrize("hostile", [False, True])
def test_go_reads_the_profile(hostile: bool, tmp_path: Path) -> None:
    path = export(made(tmp_path, hostile), "pprof")
    env = {**os.environ, "HOME": str(tmp_path), "PPROF_TMPDIR": str(tmp_path)}
    env.setdefault("GOCACHE", str(Path.home() / ".cache" / "go-build"))

    def pprof(*words: str) -> str:
        done = subprocess.run([go(), "tool", "pprof", *words, str(path)], capture_output=True, env=env, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    top = pprof("-top", "-sample_index=touched", "-unit=kB")
    assert "Type: touched" in top and re.search(r"128kB\s+66.67%.*128kB .* (lib\.grow|lib\.a;b)", top), top
    tags = pprof("-tags", "-sample_index=touched", "-unit=kB")
    assert re.search(r"96kB .*: " + ("worker" if not hostile else re.escape("a;b")), tags), tags
    assert re.search(r"20kB .*: 200", tags)
    assert re.search(r"480ns", pprof("-top", "-sample_index=time", "-unit=ns"))


def test_hostile_names_stay_strings(tmp_path: Path) -> None:
    _types, samples = profile(export(made(tmp_path, hostile=True), "pprof"))
    names = {name for stack, *_rest in samples for name in stack}
    assert any("</script>" in name and name.isprintable() for name in names)
    document = json.loads(export(made(tmp_path, hostile=True), "speedscope").read_text())
    assert any("</script>" in frame["name"] for frame in document["shared"]["frames"])
    assert all(frame["name"].isprintable() for frame in document["shared"]["frames"])
