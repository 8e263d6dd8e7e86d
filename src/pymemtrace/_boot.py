"""Runs inside the traced program, before the user's code: `python FLAGS _boot.py ADDRESS OPTIONS KIND TARGET ARGS...`.

It loads the capture extension by its path, starts tracing, makes sys.argv and sys.path what they would be without us, and hands over to
`_capture.run_main`. Nothing of it stays: no module in sys.modules but the extension's own, no name in __main__, no frame on the stack.
"""

import sys

if not sys.flags.safe_path:
    del sys.path[
        0
    ]  # our own folder, put there because this file is the script; its modules must not hide the standard library's


def _load(name, folder):
    """The extension module next to this file, without importing the package around it."""
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib import _load as load
    from _frozen_importlib_external import ExtensionFileLoader
    from _imp import extension_suffixes
    from posix import stat

    for suffix in extension_suffixes():
        path = f"{folder}/{name}{suffix}"
        try:
            stat(path)
        except OSError:
            continue
        spec = ModuleSpec(f"pymemtrace.{name}", ExtensionFileLoader(f"pymemtrace.{name}", path), origin=path)
        return load(spec)
    raise ImportError(f"pymemtrace: {folder} holds no {name} for this interpreter")


def _kind(capture, kind, target):
    """KIND as the interpreter would find it: a folder or an archive with a __main__.py is a "path"."""
    return "path" if kind == "script" and capture.importer(target) is not None else kind


def _absolute(path):
    """As the interpreter does it: the current folder in front, nothing normalised."""
    from posix import getcwd

    return path if path.startswith("/") else f"{getcwd()}/{path}"


def _first_path(kind, target):
    """What the interpreter puts at sys.path[0], or None."""
    import os

    if kind == "path":
        return _absolute(target)
    if sys.flags.safe_path:
        return None
    if kind == "script":
        return os.path.dirname(os.path.realpath(target))
    return os.getcwd() if kind == "module" else ""


def _notice(options, text):
    if "quiet" not in options and sys.stderr is not None:
        print(f"pymemtrace: {text}", file=sys.stderr)


def _start(capture, address, options):
    """Start tracing; what goes wrong is told on stderr, and the program runs all the same."""
    import _thread
    import atexit

    meta = {"sys_path": "\0".join(path for path in sys.path if isinstance(path, str))}
    try:
        meta["sys_path"].encode()
    except UnicodeEncodeError:
        meta = {}
    try:
        reason = capture.start(address, "exact" in options, meta)
    except OSError as error:
        _notice(options, f"nothing is recorded: the recorder does not answer ({error.strerror})")
        return
    if reason:
        _notice(options, f"page faults cannot be traced: {reason}")
    capture.name_thread("MainThread")
    _thread.get_native_id = capture.get_native_id
    if "threading" in sys.modules:
        sys.modules["threading"].get_native_id = capture.get_native_id
    atexit.register(capture.stop)


def _main():
    address, options, kind, target = sys.argv[1:5]
    capture = _load("_capture", __file__.rpartition("/")[0])
    kind = _kind(capture, kind, target)
    arguments = sys.argv[5:]
    first = {"code": "-c", "module": "-m"}.get(kind, target)
    path = _first_path(kind, target)
    if path is not None:
        sys.path.insert(0, path)
    own = len(sys.orig_argv) - len(arguments) - 5  # where this file's name stands
    flag = {"code": ["-c"], "module": ["-m"]}.get(kind, [])
    sys.orig_argv[own:] = [*flag, target, *arguments]
    sys.argv[:] = [first, *arguments]
    _start(capture, address, options.split(","))
    if kind == "path":
        target = "__main__"
    elif kind == "script":
        target = _absolute(target)
    return capture.run_main, kind, target


_run, _kind, _target = _main()
_run(_kind, _target)
