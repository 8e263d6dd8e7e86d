"""Puts the data into the page that was bundled with the package."""

import json
from importlib.resources import files
from typing import Any

from pymemtrace.errors import PymemtraceError

_MARKER = "@DATA@"
# What could end the element that the data stand in, or a line of JavaScript.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def html(template: tuple[str, str], document: dict[str, Any]) -> str:
    """The page with these data."""
    before, after = template
    text = json.dumps(document, separators=(",", ":"))  # ASCII: other characters are escapes
    return before + text.translate(_ESCAPES) + after


def template() -> tuple[str, str]:
    """The page before and after its data. Raises PymemtraceError if this installation has none."""
    try:
        text = files("pymemtrace").joinpath("page.html").read_text(encoding="utf-8")
    except OSError:
        text = ""
    before, marker, after = text.partition(_MARKER)
    if not marker:
        raise PymemtraceError(
            "this installation has no page: it was built without Node.js (20 or later) and npm; install these and "
            "build it again with `pip install --force-reinstall .` in the source folder"
        )
    return before, after
