"""A cache of 2 GiB, of blocks of 64 bytes to 1 MiB, a tenth of which is dropped and made anew in each round.

The worst case for residency snapshots: RSS falls all the time, and there is much to look at.
"""

import random

from _common import rounds

SIZE = 2 << 30
CLASSES = [64 << shift for shift in range(15)]  # as many bytes of each


def fill(blocks: list[bytes], size: int, rng: random.Random) -> None:
    """Blocks of `size` bytes in all."""
    while size > 0:
        length = rng.choice(CLASSES)
        count = max(1, CLASSES[-1] // length)
        blocks += [b"x" * length for _ in range(count)]
        size -= count * length


def main() -> None:
    rng = random.Random(1)
    blocks: list[bytes] = []
    fill(blocks, SIZE if rounds(1) else SIZE >> 6, rng)
    for _ in range(rounds(20)):
        start = rng.randrange(len(blocks) * 9 // 10)
        dropped = blocks[start : start + len(blocks) // 10]
        size = sum(map(len, dropped))
        del blocks[start : start + len(blocks) // 10]
        del dropped
        fill(blocks, size, rng)
    print(f"allocations: {len(blocks)} blocks")


if __name__ == "__main__":
    main()
