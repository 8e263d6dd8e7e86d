"""Names in reports: module names, native symbols, text made safe, units."""

import ctypes
import struct
from pathlib import Path

import pytest

from pymemtrace.report import units
from pymemtrace.report.facts import native_name
from pymemtrace.report.modules import ModuleNames
from pymemtrace.report.symbols import Symbols
from pymemtrace.report.text import Shortener, clean, clip, label, quote_argument

PATHS = ["/app", "/lib/python", "/lib/python/lib-dynload", "/lib/python/site-packages", ""]


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("/app/app.py", "__main__"),
        ("app.py", "__main__"),
        ("/app/helper.py", "helper"),
        ("/other/helper.py", "helper"),
        ("/lib/python/json/decoder.py", "json.decoder"),
        ("/lib/python/json/__init__.py", "json"),
        ("/lib/python/site-packages/numpy/core/x.py", "numpy.core.x"),
        ("/lib/python/dist-packages/six.py", "six"),
        ("/elsewhere/tool.py", "tool"),
        ("/elsewhere/pkg/__init__.py", "pkg"),
        ("/app/sub/../helper.py", "helper"),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap"),
        ("<string>", "<string>"),
        ("<__array_function__ internals>", "<__array_function__ internals>"),
        ("", "[unknown]"),
        ("[unknown]", "[unknown]"),
    ],
)
def test_module_of_a_script_run(file: str, module: str) -> None:
    assert ModuleNames(PATHS, ["app.py", "x"], "/app")(file) == module


def test_entry_of_nothing_is_the_working_directory() -> None:
    assert ModuleNames([""], ["/bin/tool"], "/other")("/other/pkg/mod.py") == "pkg.mod"
    assert ModuleNames(["/"], ["/bin/tool"], "/other")("/srv/mod.py") == "mod"


def test_module_of_dash_m() -> None:
    names = ModuleNames(PATHS, ["-m", "pkg", "x"], "/app")
    assert names("/app/pkg/__main__.py") == "__main__"
    assert names("/app/pkg/__init__.py") == "pkg"
    assert ModuleNames(PATHS, ["-m", "pkg.tool"], "/app")("/app/pkg/tool.py") == "__main__"


def test_module_of_dash_c() -> None:
    assert ModuleNames(PATHS, ["-c", "print()"], "/app")("<string>") == "__main__"


def libc_function(name: str) -> tuple[str, int]:
    """The file and the offset in it of a function of the C library in this process."""
    function = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        words = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in words[0].split("-"))
        if start <= function < end:
            return words[5], function - start + int(words[2], 16)
    raise AssertionError(f"{name} is not mapped")


def test_symbol_of_a_library() -> None:
    path, offset = libc_function("getpid")
    symbols = Symbols()
    assert symbols.find(path, offset) == "getpid"
    assert symbols.find(path, offset + 1) == "getpid"
    assert symbols.find(path, 1 << 60) is None


def test_files_without_symbols(tmp_path: Path) -> None:
    path, _offset = libc_function("getpid")
    head = Path(path).read_bytes()[:4096]
    cases = {
        "empty": b"",
        "text": b"not an ELF file",
        "cut": head,
        "wild": head[:40] + struct.pack("<Q", 1 << 50) + head[48:],
    }
    symbols = Symbols()
    for name, content in cases.items():
        file = tmp_path / name
        file.write_bytes(content)
        assert symbols.find(str(file), 100) is None
    for other in ("/no/such/file", str(tmp_path), "/dev/zero", "[vdso]", "", "/a\0b"):
        assert symbols.find(other, 0) is None


def elf(names: list[tuple[str, int, int]], offset: int, address: int, length: int) -> bytes:
    """A small 64-bit ELF file: one executable PT_LOAD and a .symtab of functions (name, address, size)."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name, _a, _s in names)
    symbols, at = bytes(24), 1
    for name, value, size in names:
        symbols += struct.pack("<IBBHQQ", at, 0x12, 0, 1, value, size)
        at += len(name) + 1
    sections = b"\0.symtab\0.strtab\0.shstrtab\0"
    body = 64 + 56
    where = [body, body + len(symbols), body + len(symbols) + len(strings)]
    table = where[2] + len(sections)
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, table, 0, 64, 56, 1, 64, 4, 3)
    load = struct.pack("<IIQQQQQQ", 1, 5, offset, address, address, length, length, 4096)
    rows = bytes(64)
    rows += struct.pack("<IIQQQQIIQQ", 1, 2, 0, 0, where[0], len(symbols), 2, 1, 8, 24)
    rows += struct.pack("<IIQQQQIIQQ", 9, 3, 0, 0, where[1], len(strings), 0, 0, 1, 0)
    rows += struct.pack("<IIQQQQIIQQ", 17, 3, 0, 0, where[2], len(sections), 0, 0, 1, 0)
    return header + load + symbols + strings + sections + rows


def test_offsets_are_translated_to_addresses(tmp_path: Path) -> None:
    file = tmp_path / "lib.so"
    file.write_bytes(elf([("alpha", 0x5010, 16), ("beta@V1", 0x5040, 0), ("$x", 0x5010, 16)], 0x1000, 0x5000, 0x100))
    symbols = Symbols()
    found = [symbols.find(str(file), at) for at in (0x100F, 0x1010, 0x101F, 0x1020, 0x1040, 0x5010)]
    assert found == [None, "alpha", "alpha", "~alpha", "beta", None]


def test_native_names() -> None:
    assert native_name("/usr/lib/libfoo.so", "blas_thread_server") == "<libfoo.so: blas_thread_server>"
    assert native_name("/usr/lib/libfoo.so", None) == "<libfoo.so>"
    assert native_name("", None) == "<native code>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ä 漢 [bold]", "plain ä 漢 [bold]"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("line\nbreak\ttab\r", "line\\nbreak\\ttab\\r"),
        ("\u202eright\udc80", "\\u202eright\\udc80"),
        ("\x9b31m\x07", "\\x9b31m\\x07"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected
    assert clean(text).isprintable()


def test_long_names_are_clipped() -> None:
    assert clip("x" * 1000, 11) == "xxxxx…xxxxx"
    assert clip("short", 5) == "short"
    assert len(label("y" * 1_000_000)) == 200


def test_shortener() -> None:
    shorten = Shortener(["/app", "/lib/python", "/lib/python/site-packages", "", "/", "relative"])
    assert shorten("/app/a/b.py") == "a/b.py"
    assert shorten("/lib/python/site-packages/numpy/x.py") == "numpy/x.py"
    assert shorten("/application/b.py") == "/application/b.py"
    assert shorten("/app/") == "/app/"
    assert Shortener([])("/app/b.py") == "/app/b.py"


def test_quote_argument() -> None:
    assert quote_argument("a-b/c.pmt") == "a-b/c.pmt"
    assert quote_argument("two words") == "'two words'"
    assert quote_argument("it's") == "'it'\"'\"'s'"
    assert quote_argument("") == "''"
    assert quote_argument("a\n'\\") == "$'a\\n\\'\\\\'"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1048575, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (-2048, "-2.0 KiB"),
        (1 << 90, "1,073,741,824.0 EiB"),
    ],
)
def test_size(number: int, text: str) -> None:
    assert units.size(number) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 s"),
        (500, "500 ns"),
        (85_000, "85 us"),
        (12_340_000, "12.3 ms"),
        (4_560_000_000, "4.56 s"),
        (59_999_000_000, "1 min 00 s"),
        (123_000_000_000, "2 min 03 s"),
        (3_720_000_000_000, "1 h 02 min"),
    ],
)
def test_duration(nanoseconds: int, text: str) -> None:
    assert units.duration(nanoseconds) == text


def test_shares_and_counts() -> None:
    assert units.share(1, 8) == "12.5 %"
    assert units.share(1, 0) == "-"
    assert units.count(1, "fault") == "1 fault"
    assert units.count(1234, "fault") == "1,234 faults"
    assert units.kib(4096) == "4 KiB"
    assert units.kib(1000) == "1,000 B"
