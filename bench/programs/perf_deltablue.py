"""pyperformance `deltablue`: a constraint solver, many small objects and method calls."""

from _common import rounds
from _pyperformance import load


def main() -> None:
    bench = load("deltablue")
    count = rounds(800, 20)
    for _ in range(count):
        bench.delta_blue(100)
    print(f"deltablue: {count} rounds")


if __name__ == "__main__":
    main()
