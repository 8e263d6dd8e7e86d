"""pyperformance `async_tree`: a tree of coroutines, half of whose leaves compute and half sleep."""

import asyncio

from _common import rounds
from _pyperformance import load


def main() -> None:
    bench = load("async_tree")
    if not rounds(1, 0):
        bench.NUM_RECURSE_LEVELS = 3
    for _ in range(rounds(4)):
        tree = bench.BENCHMARKS["cpu_io_mixed"](use_task_groups=True)
        asyncio.run(tree.run())
        print(f"async_tree: {len(tree.cache)} values remembered")


if __name__ == "__main__":
    main()
