"""Runs in a child process of `pymemtrace doctor`: `python -I -S _child.py EXTENSION ENGINE`.

Tries one engine for real and prints [errno, reason, user_only] as JSON. Imports nothing of the package around it.
"""

import json
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _load(path: str) -> "Any":
    loader = ExtensionFileLoader("pymemtrace._capture", path)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _main(path: str, engine: str) -> None:
    probes = {"faults": "probe"}
    print(json.dumps(getattr(_load(path), probes[engine])()))


_main(*sys.argv[1:])
