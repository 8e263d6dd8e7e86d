"""pyperformance `pyflate`: a bzip2 decoder in pure Python; the benchmark checks its own output."""

from _common import rounds
from _pyperformance import benchmark_dir, load

DATA = "interpreter.tar.bz2"


def main() -> None:
    bench = load("pyflate")
    count = rounds(5)
    bench.bench_pyflake(count, str(benchmark_dir("pyflate") / "data" / DATA))
    print(f"pyflate: {count} rounds")


if __name__ == "__main__":
    main()
