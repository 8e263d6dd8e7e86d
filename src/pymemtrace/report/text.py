"""Text from a trace, made safe and short for a terminal.

Everything in a trace (commands, file and function names) was chosen by the traced program and is not trusted: a
name may hold escape sequences, line breaks or right-to-left overrides. Nothing is printed without `clean`.
"""

import sys

# Longer names are cut in tables: a generated name of a megabyte must not fill the screen.
NAME_LIMIT = 200


def clean(text: str) -> str:
    """The text with every character that is not printable (control, format, surrogate) as a Python escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def notice(text: str) -> None:
    """One line on stderr, if there is one; what its encoding lacks as escapes."""
    if sys.stderr is not None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr.write(f"pymemtrace: {clean(text)}\n".encode(encoding, "backslashreplace").decode(encoding))


def clip(text: str, limit: int = NAME_LIMIT) -> str:
    """The text, its middle replaced by an ellipsis if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"


def label(text: str, limit: int = NAME_LIMIT) -> str:
    """A name for a table: clipped first (cheap on huge names), then cleaned."""
    return clean(clip(text, limit))


class Shortener:
    """Paths relative to the folders a reader knows: the run's working directory and the entries of its sys.path.

    Both come from the trace, not from the process that reads it, so the same trace gives the same text anywhere.
    """

    def __init__(self, folders: list[str]) -> None:
        # The root folder would only strip the slash that says "absolute".
        kept = {folder.rstrip("/") + "/" for folder in folders if folder.startswith("/") and folder.strip("/")}
        self._folders = sorted(kept, key=len, reverse=True)

    def __call__(self, file: str) -> str:
        """The path below its longest known folder; unchanged when there is none."""
        for folder in self._folders:
            if file.startswith(folder) and len(file) > len(folder):
                return file[len(folder) :]
        return file


def location(file: str, line: int | None) -> str:
    """ "file:line", or the file alone where the line is not known."""
    return file if line is None else f"{file}:{line}"


def quote_argument(text: str) -> str:
    """A shell word that can be copied; control characters are written in the $'...' form."""
    if not text.isprintable():
        # clean() doubles no backslash and quotes no quote: do both before.
        return "$'" + clean(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"
    if text and all(c.isalnum() or c in "_@%+=:,./-" for c in text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"
