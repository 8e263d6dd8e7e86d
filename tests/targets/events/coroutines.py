"""Coroutines, async generators, async with and async for under asyncio: awaited, cancelled, gathered, raising."""

import asyncio


class Resource:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0)
        return kind is KeyError


async def ticks(n):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        await asyncio.sleep(0)


async def add(a, b):
    await asyncio.sleep(0)
    return a + b


async def fails():
    await asyncio.sleep(0)
    raise KeyError("fails")


async def forever():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "cancelled"


async def main():
    total = 0
    async for i in ticks(3):
        total += await add(i, 1)
    some = ticks(5)
    async for i in some:
        if i == 1:
            break
    await some.aclose()
    async with Resource():
        await fails()
    waiting = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    waiting.cancel()
    results = await asyncio.gather(add(1, 2), add(3, 4), fails(), waiting, return_exceptions=True)
    squares = [i * i async for i in ticks(3)]
    return total, [type(r).__name__ for r in results], squares


print(asyncio.run(main()))
