"""What a section shows: its rows and columns, marks, the file of rows, which functions."""

from __future__ import annotations

import csv
import json

import pytest

from integration.section_program import Program


def test_columns() -> None:
    Program(
        """
        with Profile(0) as p:
            work()
            mark("here")
        c, rows = p.columns(), list(p.events)
        assert len(c) == len(rows)
        assert c.t.format == "d" and c.kind.format == "B" and c.rss.format == "q" and not c.t.readonly is False
        assert list(c.t) == [row.t for row in rows]
        assert [c.kinds[k] for k in c.kind] == [row.kind for row in rows]
        assert [c.names[i] if i >= 0 else None for i in c.function] == [row.function for row in rows]
        assert [c.names[i] if i >= 0 else None for i in c.file] == [row.file for row in rows]
        assert [c.names[i] if i >= 0 else None for i in c.text] == [row.text for row in rows]
        for name in ("pid", "tid", "depth", "rss", "change"):
            assert list(getattr(c, name)) == [getattr(row, name) for row in rows], name
        assert [line or None for line in c.line] == [row.line for row in rows]
        for view in (c.t, c.kind, c.rss):  # what numpy.frombuffer asks for
            assert view.contiguous and memoryview(view).nbytes == len(rows) * view.itemsize
        """
    )


def test_which_rows_are_shown() -> None:
    Program(
        """
        kept = []
        def grow(pages):
            kept.append(bytearray(pages * PAGE + 1))
            for at in range(0, pages * PAGE, PAGE):
                kept[-1][at] = 1
        def body():
            work(50)
            grow(400)
            work(50)
            mark("before the second")
            grow(100)
        for trigger, least in (-1, PAGE), (1, 1), (200 * PAGE, 200 * PAGE), (1 << 62, 1 << 62), (0, 0):
            kept.clear()
            with Profile(trigger) as p:
                body()
            rows = list(p.events)
            assert rows[0].text.endswith("begins") and rows[-1].text.endswith("ends")
            shown = rows[0].rss
            assert rows[0].change == 0
            for row in rows[1:]:
                assert row.change == row.rss - shown
                assert abs(row.change) >= least or row.kind == "mark", (trigger, row)
                shown = row.rss
            assert marks(p)[1] == "before the second"
            if trigger == 0:
                assert called(p)[1:52] == ["work", *["leaf"] * 50]
            if trigger > PAGE:
                assert len(rows) < 9
        """
    )


def test_the_file_of_rows() -> None:
    program = Program(
        """
        with Profile(0, filepath="rows.txt", message="line one\\nline two"):
            work()
        with Profile(0, filepath="rows.csv", message="a, message"):
            work()
        with Profile(0, filepath="rows.jsonl", message='the "message"'):
            work()
        with Profile(0, filepath="plain.json"):
            work()
        with pymemtrace.trace("one.pmt"):
            with Profile(0, filepath="inside.csv") as p:
                work()
            assert len(open("inside.csv").readlines()) == 1 + len(p.events)
        size = os.path.getsize("rows.txt")
        raises(FileExistsError, Profile(filepath="rows.txt").__enter__, "rows.txt", "overwrite")
        assert os.path.getsize("rows.txt") == size
        with Trace(0, filepath="rows.txt", overwrite=True):
            leaf()
        os.mkdir("elsewhere")
        with Profile(0, filepath="stays.txt"):
            os.chdir("elsewhere")
        os.chdir("..")
        assert os.listdir("elsewhere") == []
        """
    )
    folder = program.folder
    lines = (folder / "rows.txt").read_text().splitlines()
    assert lines[0].split() == ["time", "s", "tid", "RSS", "KiB", "change", "KiB", "kind", "function", "file:line"]
    assert sum("  line  " in line for line in lines) >= 1 and "section" in lines[-1]
    first, *table = (folder / "rows.csv").read_text().splitlines()
    assert first == "# a, message"
    rows = list(csv.DictReader(table))
    assert [row["function"] for row in rows if row["kind"] == "call"] == ["work", "leaf", "leaf", "leaf"]
    objects = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert objects[0] == {"message": 'the "message"'}
    assert [row["function"] for row in objects[1:] if row["kind"] == "call"] == ["work", "leaf", "leaf", "leaf"]
    assert "message" not in json.loads((folder / "plain.json").read_text().splitlines()[0])
    assert (folder / "stays.txt").exists()


def test_marks() -> None:
    Program(
        """
        assert mark("nobody hears it") is False
        with Profile(0) as p:
            assert mark("first") is True
            leaf()
            assert mark("\\udc80 \\N{SNOWMAN}") and mark("") and mark("\\N{SNOWMAN}" * 100000)
        rows = list(p.events)
        texts = [row.text for row in rows if row.kind == "mark"][1:-1]
        assert texts[:3] == ["first", "? \\N{SNOWMAN}", ""], texts[:3]
        assert 5000 < len(texts[3]) < 6000 and set(texts[3]) == {"\\N{SNOWMAN}"}
        kinds = [(row.kind, row.text or row.function) for row in rows]
        assert kinds.index(("mark", "first")) < kinds.index(("call", "leaf"))
        begun = time.perf_counter()
        with Profile(c_calls=False):
            for _ in range(10000):
                mark("x")
        assert time.perf_counter() - begun < 2
        """
    )


def test_which_functions_are_recorded() -> None:
    Program(
        """
        with Profile(0, exclude=["leaf"]) as p:
            work()
        assert called(p) == ["work"], called(p)
        with Profile(0, include=["leaf"]) as p:  # what was left out a moment ago
            work()
        assert called(p) == ["leaf"] * 3, called(p)
        with Profile(0) as p:
            work()
        assert called(p) == WORK
        with Profile(0, include=["leaf"]) as p:
            work()
            with Profile(0, exclude=["leaf"]) as q:
                work()
            work()
        assert "work" in called(q)
        with Profile(0, c_calls=False, rss="every") as p:
            work()
        assert called(p) == WORK and not [row for row in p.events if row.kind.startswith("c_")]
        """
    )


OTHERS = """
        with open("helper.py", "w") as file:
            file.write("def key(x): return -x")
        sys.path.insert(0, os.getcwd())
        import helper
        def outside(count):
            return sorted(range(count), key=helper.key)
        def shown(section):
            # Functions, with their depths; what is left nests.
            stack, found = [], []
            for row in section.events:
                if row.kind in ("call", "c_call", "resume", "throw"):
                    assert row.depth == len(stack), (row, stack)
                    stack.append(row.function)
                    found.append((row.function, row.depth))
                elif row.kind in ("return", "c_return", "yield", "unwind", "c_raise"):
                    if stack or row.function not in ("start", "_Recorder.__enter__"):
                        assert stack and stack.pop() == row.function and row.depth == len(stack), (row, stack)
            return found
        def summed(section):
            return {row.function: row.calls for row in section.summary if row.calls}
"""


@pytest.mark.parametrize("options", [["--lines"], ["--lines", "--exclude", "nothing"], []], ids=" ".join)
def test_what_others_record_besides(options: list[str]) -> None:
    """A section shows what it asks for, whatever is recorded already: by a run, or for a section around it."""
    program = Program(
        OTHERS
        + """
        around = Trace(0)
        with around:
            with Profile(0, exclude=["leaf"], c_calls=False) as p:
                work()
            with Profile(0, include=["leaf"], c_calls=False) as q:
                work()
            with Profile(0, exclude=["helper"], c_calls=False) as by_module:
                outside(3)
            with Profile(0, include=["__main__.outside"]) as one:
                outside(3)
            with Profile(0, exclude=["outside"], filepath="rows.jsonl") as inner:
                outside(3)
            with Profile(0, c_calls=False) as python:
                outside(3)
        assert shown(p) == [("work", 0)] and summed(p) == {"work": 1}, (shown(p), summed(p))
        assert shown(q) == [("leaf", 0)] * 3 and summed(q) == {"leaf": 3}, (shown(q), summed(q))
        assert shown(by_module) == [("outside", 0)] and summed(by_module) == {"outside": 1}, shown(by_module)
        new = hasattr(sys, "monitoring")
        c = [("range", 1), ("sorted", 1)] if new else [("sorted", 1)]
        assert shown(one) == [("outside", 0), *c], shown(one)
        assert summed(one) == {name: 1 for name, depth in shown(one)}
        assert shown(inner) == [("key", 0)] * 3 and summed(inner) == {"key": 3}, (shown(inner), summed(inner))
        assert shown(python) == [("outside", 0)] + [("key", 1)] * 3, shown(python)
        assert summed(python) == {"outside": 1, "key": 3}, summed(python)
        for section in (p, q, by_module, one, inner, python):
            assert not [row for row in section.events if row.kind == "line"]
            assert not [row for row in section.columns().kind if section.columns().kinds[row] == "line"]
        """
    )
    rows = [json.loads(line) for line in (program.folder / "rows.jsonl").read_text().splitlines()]
    assert [(row["function"], row["depth"]) for row in rows if row["kind"] == "call"] == [("key", 0)] * 3
