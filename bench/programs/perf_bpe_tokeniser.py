"""pyperformance `bpe_tokeniser`: train a byte pair encoding on a novel's beginning and encode with it."""

from _common import Digest, rounds
from _pyperformance import benchmark_dir, load

PATTERN = r"'\w+| ?[a-zA-Z]+| ?\d+| ?[^\sa-zA-Z\d]+|\s+"


def main() -> None:
    bench = load("bpe_tokeniser")
    text = (benchmark_dir("bpe_tokeniser") / "data" / "frankenstein_intro.txt").read_text("utf-8")
    encoder = bench.SimpleBytePairEncoding.train(text[: rounds(len(text), 4_000)], rounds(370, 262), PATTERN)
    digest = Digest()
    digest.add(b"".join(encoder.mergeable_ranks))
    digest.add(str(encoder.encode(text)))
    digest.show("bpe_tokeniser")


if __name__ == "__main__":
    main()
