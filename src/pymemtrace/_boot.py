"""Runs inside the traced program, before the user's code: `python FLAGS _boot.py ADDRESS OPTIONS KIND TARGET ARGS...`.

It loads the capture extension by its path, starts tracing, makes sys.argv, sys.orig_argv and sys.path what they would
be without us, and hands over to `_capture.run_main`. Nothing of it stays: no name in __main__, no frame on the stack,
no module of the package in sys.modules. It imports only what the interpreter has loaded anyway.
"""

import sys


def _rss_pages() -> int:
    """This process's resident pages; 0: unknown."""
    from posix import O_CLOEXEC, O_RDONLY, close, open, read

    try:
        file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    except OSError:
        return 0
    pages = int(read(file, 256).split()[1])
    close(file)
    return pages


_rss_before = _rss_pages()

if not sys.flags.safe_path:
    del sys.path[0]  # our own folder, there because this file is the script; it must not hide the standard library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_OWN_WORDS = 5  # this file, address, options, kind, target


def _load(name: str, folder: str) -> "Any":
    """The extension module in `folder`, without importing the package around it."""
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib import _load as load  # type: ignore[attr-defined]
    from _frozen_importlib_external import ExtensionFileLoader
    from _imp import extension_suffixes
    from posix import stat

    for suffix in extension_suffixes():
        path = f"{folder}/{name}{suffix}"
        try:
            stat(path)
        except OSError:
            continue
        full_name = f"pymemtrace.{name}"
        return load(ModuleSpec(full_name, ExtensionFileLoader(full_name, path), origin=path))
    raise ImportError(f"pymemtrace: {folder} holds no {name} for this interpreter")


def _absolute(path: str) -> str:
    """As the interpreter does it: the current folder in front, nothing normalised."""
    from posix import getcwd

    return path if path.startswith("/") else f"{getcwd()}/{path}"


def _first_path(kind: str, target: str) -> str | None:
    """What the interpreter puts at sys.path[0], or None."""
    import os

    if kind == "path":
        return _absolute(target)
    if sys.flags.safe_path:
        return None
    if kind == "script":
        return os.path.dirname(os.path.realpath(target))
    return os.getcwd() if kind == "module" else ""


def _notice(options: list[str], text: str) -> None:
    if "quiet" not in options and sys.stderr is not None:
        print(f"pymemtrace: {text}", file=sys.stderr)


def _name_threads(capture: "Any") -> None:
    """Each Thread asks for its native id once, in its own thread, when it starts: where its name is learnt."""
    import _thread

    threading: ModuleType | None = sys.modules.get("threading")
    for module in (_thread, threading):
        if module is not None:
            module.get_native_id = capture.get_native_id  # type: ignore[attr-defined]
    capture.name_thread("MainThread")


def _start(capture: "Any", address: str, options: list[str]) -> None:
    """Start tracing; what goes wrong is told on stderr, and the program runs all the same."""
    import atexit

    meta = {"sys_path": "\0".join(path for path in sys.path if isinstance(path, str))}
    try:
        meta["sys_path"].encode()
    except UnicodeEncodeError:
        meta = {}
    try:
        reason = capture.start(address, "exact" in options, _rss_before, meta)
    except OSError as error:
        _notice(options, f"nothing is recorded: the recorder does not answer ({error.strerror})")
        return
    if reason:
        _notice(options, f"page faults cannot be traced: {reason}")
    _name_threads(capture)
    atexit.register(capture.stop)


def _main() -> tuple["Any", str, str]:
    """Everything before the user's code: (how to run it, kind, target)."""
    address, options, kind, target = sys.argv[1:_OWN_WORDS]
    arguments = sys.argv[_OWN_WORDS:]
    capture = _load("_capture", __file__.rpartition("/")[0])
    if kind == "script" and capture.importer(target) is not None:
        kind = "path"  # a folder or an archive with a __main__.py
    flag = {"code": ["-c"], "module": ["-m"]}.get(kind, [])
    sys.orig_argv[len(sys.orig_argv) - len(sys.argv) :] = [*flag, target, *arguments]
    sys.argv[:] = [*(flag or [target]), *arguments]
    path = _first_path(kind, target)
    if path is not None:
        sys.path.insert(0, path)
    _start(capture, address, options.split(","))
    if kind == "path":
        target = "__main__"
    elif kind == "script":
        target = _absolute(target)
    return capture.run_main, kind, target


_run, _kind, _target = _main()
_run(_kind, _target)
