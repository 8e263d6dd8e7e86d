"""Loads the benchmarks that the `pyperformance` package carries, without its virtual environments and workers.

A benchmark is a script that needs `pyperf` for its clock and its command line. The command line stays unused (the
script is imported, not run), so a stand-in with the clock is enough and keeps the imports of `pyperf` out of what is
measured.
"""

import importlib.util
import sys
import time
import types
from pathlib import Path


def benchmark_dir(name: str) -> Path:
    """Where the package keeps the benchmark, for its data files."""
    spec = importlib.util.find_spec("pyperformance")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'pyperformance'", name="pyperformance")
    return Path(spec.submodule_search_locations[0]) / "data-files" / "benchmarks" / f"bm_{name}"


def load(name: str) -> types.ModuleType:
    """Import the benchmark's script as module `bm_NAME`."""
    stand_in = types.ModuleType("pyperf")
    stand_in.perf_counter = time.perf_counter  # type: ignore[attr-defined]
    sys.modules.setdefault("pyperf", stand_in)
    spec = importlib.util.spec_from_file_location(f"bm_{name}", benchmark_dir(name) / "run_benchmark.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
