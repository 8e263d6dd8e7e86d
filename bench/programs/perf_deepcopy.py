"""pyperformance `deepcopy`: copy nested containers, dataclasses and objects with `__reduce__`."""

from _common import rounds
from _pyperformance import load


def main() -> None:
    bench = load("deepcopy")
    for name, count in (("benchmark", 1_500), ("benchmark_reduce", 60_000), ("benchmark_memo", 6_000)):
        times = rounds(count, 20)
        getattr(bench, name)(times)
        print(f"deepcopy: {name} {times}")


if __name__ == "__main__":
    main()
