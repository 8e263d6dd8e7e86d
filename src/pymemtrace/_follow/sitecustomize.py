"""Starts tracing in a Python process that a traced program started; found through PYTHONPATH, which the program set.

The interpreter's `site` imports it once, before anything of the user's. It gives way to the user's own sitecustomize.
Whatever goes wrong here must not be seen: the process then runs untraced.
"""

import sys


def _trace() -> None:
    from posix import environ

    words = environ.get(b"PYMEMTRACE_FOLLOW", b"").decode().split(" ")
    if len(words) != 2:
        return
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib import _load as load  # type: ignore[attr-defined]
    from _frozen_importlib_external import SourceFileLoader

    folder = __file__.rpartition("/")[0].rpartition("/")[0]
    path = f"{folder}/_inside.py"
    name = "pymemtrace._inside"
    spec = ModuleSpec(name, SourceFileLoader(name, path), origin=path)
    spec.has_location = True
    inside = load(spec)
    del sys.modules[name]
    inside.hide_environment(f"{folder}/_follow")
    capture, options = inside.load_capture(), words[1].split(",")
    inside.start(capture, words[0], options, confirm=False)
    events = inside.wanted_events(options)
    if events is not None:
        capture.hooks_on(*events)


def _step_aside() -> None:
    """As if this folder had not been on the path."""
    folder = __file__.rpartition("/")[0]
    sys.path[:] = [path for path in sys.path if path != folder]
    sys.path_importer_cache.pop(folder, None)
    sys.modules.pop("sitecustomize", None)


_step_aside()
try:
    _trace()
except Exception:
    pass
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402, F401  # the user's own, or the ImportError that `site` expects
