"""Functions each call of which is a block: plain, generator, coroutine and async generator functions."""

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
    Block = Callable[[], AbstractContextManager[object]]


def decorate(function: "Callable[P, R]", block: "Block", name: str) -> "Callable[P, R]":
    """`function` inside of a new `block()` at each call: from its start to its end, awaits and yields included.

    `name`: of the decorator, for its error.
    """
    if not callable(function):
        raise TypeError(f"{name} decorates functions, not {type(function).__name__}")
    if isinstance(function, type):  # it would be a class no more
        raise TypeError(f"{name} decorates functions, not classes")
    import inspect

    wrapper: Any
    if inspect.isasyncgenfunction(function):
        wrapper = _around_async_generator(function, block)
    elif inspect.iscoroutinefunction(function):
        wrapper = _around_coroutine(function, block)
    elif inspect.isgeneratorfunction(function):
        wrapper = _around_generator(function, block)
    else:
        wrapper = _around_call(function, block)
    return functools.wraps(function)(wrapper)


def _around_call(function: "Any", block: "Block") -> "Callable[..., Any]":
    def traced(*args: "Any", **kwargs: "Any") -> "Any":
        with block():
            return function(*args, **kwargs)

    return traced


def _around_generator(function: "Any", block: "Block") -> "Callable[..., Any]":
    def traced(*args: "Any", **kwargs: "Any") -> "Generator[Any, Any, Any]":
        with block():
            return (yield from function(*args, **kwargs))

    return traced


def _around_coroutine(function: "Any", block: "Block") -> "Callable[..., Any]":
    async def traced(*args: "Any", **kwargs: "Any") -> "Any":
        with block():
            return await function(*args, **kwargs)

    return traced


def _around_async_generator(function: "Any", block: "Block") -> "Callable[..., Any]":
    async def traced(*args: "Any", **kwargs: "Any") -> "AsyncGenerator[Any, Any]":
        with block():
            inner = function(*args, **kwargs)
            step = inner.__anext__()
            try:
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        step = inner.asend((yield item))
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step = inner.athrow(error)
            finally:
                await inner.aclose()

    return traced
