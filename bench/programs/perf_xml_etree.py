"""pyperformance `xml_etree`: generate, parse, search and transform XML with the standard library's ElementTree."""

import xml.etree.ElementTree as etree

from _common import rounds
from _pyperformance import load


def main() -> None:
    bench = load("xml_etree")
    for name, full, small in (("parse", 2, 0), ("iterparse", 2, 0), ("generate", 2, 1), ("process", 8, 1)):
        count = rounds(full, small)
        bench.bench_etree(count, etree, getattr(bench, f"bench_{name}"))
        print(f"xml_etree: {name} {count}")


if __name__ == "__main__":
    main()
