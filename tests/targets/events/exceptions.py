"""Exceptions through many frames, caught, chained, re-raised, in finally and with, from C, and swallowed."""

import contextlib


class Oops(Exception):
    pass


class Guard:
    def __init__(self, swallow):
        self.swallow = swallow

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return self.swallow


def deep(n):
    if n == 0:
        raise Oops("bottom")
    try:
        deep(n - 1)
    finally:
        len("finally")


def chained():
    try:
        deep(3)
    except Oops as error:
        raise ValueError("chained") from error


def again():
    try:
        chained()
    except ValueError:
        raise


def from_c():
    return int("not a number")


def returns_in_finally():
    try:
        deep(1)
    except Oops:
        return "caught"
    finally:
        str(1)


def loops():
    found = []
    for text in ("1", "x", "2"):
        try:
            found.append(int(text))
        except ValueError:
            continue
        else:
            found.append(text)
    return found


@contextlib.contextmanager
def managed():
    try:
        yield 1
    except Oops:
        len("managed")


class Quiet:
    def __getattr__(self, name):
        raise AttributeError(name)


def attempt(function):
    try:
        return function()
    except Exception as error:
        return type(error).__name__


def main():
    print([attempt(f) for f in (lambda: deep(5), chained, again, from_c, returns_in_finally, loops)])
    with Guard(True):
        deep(2)
    with contextlib.suppress(Oops), Guard(False):
        deep(2)
    with managed():
        deep(1)
    print(hasattr(Quiet(), "x"), getattr(Quiet(), "y", None))
    try:
        [deep(i) for i in (0, 1)]
    except Oops:
        pass
    try:
        raise ExceptionGroup("both", [Oops("a"), ValueError("b")])
    except* Oops:
        len("first")
    except* ValueError:
        len("second")


main()
