"""Runs inside the traced program, before the user's code: `python FLAGS _boot.py ADDRESS OPTIONS KIND TARGET ARGS...`.

It loads the capture extension by its path, starts tracing, makes sys.argv, sys.orig_argv and sys.path what they would
be without us, and hands over to `_capture.run_main`. Nothing of it stays: no name in __main__, no frame on the stack,
no module of the package in sys.modules. It imports only what the interpreter has loaded anyway.
"""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # our own folder, there because this file is the script; it must not hide the standard library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_OWN_WORDS = 5  # this file, address, options, kind, target


def _load_inside() -> "Any":
    """_inside.py beside this file, without the package around it."""
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib import _load as load  # type: ignore[attr-defined]
    from _frozen_importlib_external import SourceFileLoader

    name, path = "pymemtrace._inside", f"{__file__.rpartition('/')[0]}/_inside.py"
    spec = ModuleSpec(name, SourceFileLoader(name, path), origin=path)
    spec.has_location = True
    module = load(spec)
    del sys.modules[name]
    return module


def _first_path(kind: str, target: str, absolute: "Callable[[str], str]") -> str | None:
    """What the interpreter puts at sys.path[0], or None."""
    import os

    if kind == "path":
        return absolute(target)
    if sys.flags.safe_path:
        return None
    if kind == "script":
        return os.path.dirname(os.path.realpath(target))
    return os.getcwd() if kind == "module" else ""


def _notice(options: list[str], text: str) -> None:
    if "quiet" not in options and sys.stderr is not None:
        print(f"pymemtrace: {text}", file=sys.stderr)


def _start(inside: "Any", capture: "Any", address: str, options: list[str]) -> bool:
    """Start tracing; what goes wrong is told on stderr, and the program runs all the same. False: nothing is traced."""
    try:
        engine, reason = inside.start(capture, address, options, confirm=True)
    except OSError as error:
        _notice(options, f"nothing is recorded: {error.strerror}")
        return False
    wanted = inside.wanted_engine(options)
    if wanted in ("best", "faults") and reason:
        instead = "; using timer ticks instead (less exact)" if engine == "timer" else ""
        _notice(options, f"page faults cannot be traced: {reason}{instead}")
    elif wanted == "timer" and engine != "timer":
        _notice(options, f"timer ticks cannot be used: {reason}")
    return True


def _listen(options: list[str]) -> None:
    """Trace nothing, but let `pymemtrace attach` begin. This loads the package, which need not be on the path."""
    folder = __file__.rpartition("/")[0].rpartition("/")[0]
    sys.path.insert(0, folder)
    try:
        from pymemtrace.listening import listen

        listen()
    except Exception as error:
        _notice(options, str(error))
    finally:
        sys.path.remove(folder)


def _main() -> tuple["Any", str, str, tuple["Any", ...] | None, "Callable[[str], None]"]:
    """Everything before the user's code: how to run it, and the arguments for that."""
    address, options, kind, target = sys.argv[1:_OWN_WORDS]
    arguments = sys.argv[_OWN_WORDS:]
    inside = _load_inside()
    capture = inside.load_capture()
    if kind == "script" and capture.importer(target) is not None:
        kind = "path"  # a folder or an archive with a __main__.py
    flag = {"code": ["-c"], "module": ["-m"]}.get(kind, [])
    sys.orig_argv[len(sys.orig_argv) - len(sys.argv) :] = [*flag, target, *arguments]
    sys.argv[:] = [*(flag or [target]), *arguments]
    path = _first_path(kind, target, inside.absolute)
    if path is not None:
        sys.path.insert(0, path)
    words = options.split(",")
    events = None
    if "paused" in words:
        _listen(words)
    elif _start(inside, capture, address, words):
        events = inside.wanted_events(words)
    if kind == "path":
        target = "__main__"
    elif kind == "script":
        target = inside.absolute(target)

    def refused(reason: str) -> None:  # called when this module's names are gone
        import sys

        if "quiet" not in words and sys.stderr is not None:
            print(f"pymemtrace: calls and lines cannot be recorded: {reason}", file=sys.stderr)

    return capture.run_main, kind, target, events, refused


_run, *_arguments = _main()
_run(*_arguments)
