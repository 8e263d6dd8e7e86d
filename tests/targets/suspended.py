"""Functions that are suspended and resumed while they touch pages: suspended.py generator|coroutine|async_generator"""

import asyncio
import json
import mmap
import sys

PAGE = mmap.PAGESIZE
STEPS = 8
STEP = 2 << 20
kept = []


def fresh():
    memory = mmap.mmap(-1, STEP, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.append(memory)
    return memory


def grow():
    for _ in range(STEPS):
        memory = fresh()
        for offset in range(0, STEP, PAGE):
            memory[offset] = 1  # touched: grow
        yield memory


def grow_through():
    yield from grow()


def consume():
    for _ in grow_through():
        pass


async def alpha():
    for _ in range(STEPS):
        memory = fresh()
        for offset in range(0, STEP, PAGE):
            memory[offset] = 1  # touched: alpha
        await asyncio.sleep(0)


async def beta():
    for _ in range(STEPS):
        memory = fresh()
        for offset in range(0, STEP // 2, PAGE):
            memory[offset] = 1  # touched: beta
        await asyncio.sleep(0)


async def outer_alpha():
    await alpha()


async def both():
    await asyncio.gather(outer_alpha(), beta())


async def agrow():
    for _ in range(STEPS):
        memory = fresh()
        for offset in range(0, STEP, PAGE):
            memory[offset] = 1  # touched: agrow
        yield memory
        await asyncio.sleep(0)


async def aconsume():
    async for _ in agrow():
        pass


def main(kind):
    if kind == "generator":
        consume()
    elif kind == "coroutine":
        asyncio.run(both())
    else:
        asyncio.run(aconsume())
    print(json.dumps({"pages": STEPS * STEP // PAGE}))


main(sys.argv[1])
