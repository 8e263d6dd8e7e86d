"""Fixtures of the unit tests."""

from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("reader_check", "reader_child")


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    """A reader_child.Reader."""
    from reader_child import Reader  # here: the other tests do without pymemtrace's extension

    return Reader(tmp_path / "case.pmt")
