"""Tracing in the cells of a Jupyter notebook, whose main thread runs an event loop between them."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from integration.harness import PAGE, any_user, assert_pages, need_faults

PAGES = 8192
CELLS = [
    "import json, pymemtrace\npymemtrace.start('cells.pmt');",
    f"def grow():\n    return bytearray({PAGES * PAGE})\nfirst = grow()",
    "pymemtrace.stop();",
    "with pymemtrace.trace('block.pmt') as traced:\n    second = grow()",
    """
def grown(trace):
    return [row.self_bytes for row in trace.by_function if row.function == "grow"]
print(json.dumps([grown(pymemtrace.TraceFile("cells.pmt")), grown(traced.read())]))
""",
]


def test_cells_are_traced(tmp_path: Path) -> None:
    need_faults(any_user())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(
        notebook, kernel_name="python3", timeout=60, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    [output] = notebook.cells[-1].outputs
    for [grown] in json.loads(output.text):
        assert_pages(grown, PAGES, slack=4)
