"""Recursive Fibonacci: nothing but Python calls, next to no memory.

Shows what tracing costs a program without page faults.
"""

from _common import rounds


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def main() -> None:
    for _ in range(rounds(240)):
        result = fib(25)
    print(result)


if __name__ == "__main__":
    main()
