"""The C reader and analysis on files that are cut or damaged: what is good is read, the rest refused in one line."""

import functools

import zstandard
from reader_check import check
from reader_child import Reader, refused

from oracle import encode, pmt, synth


def test_every_cut(reader: Reader) -> None:
    data = synth.small_trace()
    for length, outcome in enumerate(reader.run_bytes(data[:length] for length in range(len(data) + 1))):
        if length < 64:
            assert refused(outcome), (length, outcome)
        else:
            check(outcome, data[:length])
            assert outcome.value["complete"] == (length == len(data))


def test_zero_tails(reader: Reader) -> None:
    data = synth.small_trace()
    ends = [64, *(end for _, end in pmt.decode(data).blocks)]
    files = [data[:end] + bytes(tail) for end in ends for tail in (1, 3, 4, 19, 20, 21, 5_000)]
    for case, outcome in zip(files, reader.run_bytes(files), strict=True):
        check(outcome, case)


def test_every_flipped_bit(reader: Reader) -> None:
    """Refused, or read up to a block's end before the damage."""
    data = synth.small_trace()
    ends = [64, *(end for _, end in pmt.decode(data).blocks)]
    files = [
        data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :] for bit in range(len(data) * 8)
    ]
    prefixes = {}
    for bit, outcome in enumerate(reader.run_bytes(files)):
        if not refused(outcome):
            assert outcome.kind == "ok", (bit, outcome)
            good = outcome.value["good_bytes"]
            assert not outcome.value["complete"]
            assert good in ends
            assert 64 <= good <= max(bit // 8, 64)
            if good not in prefixes:
                prefixes[good] = pmt.decode(data[:good])
                prefixes[good].file_bytes = len(data)
            check(outcome, data, trace=prefixes[good])


def test_garbage_behind_the_trace(reader: Reader) -> None:
    data = synth.small_trace()
    for outcome in reader.run_bytes([data + b"x" * 20, data + data, data + bytes(30) + b"PBLK" + bytes(30)]):
        assert refused(outcome), outcome


def test_headers_refused(reader: Reader) -> None:
    good = encode.header()
    files = {
        "empty": b"",
        "text": b"import sys\n" * 50,
        "magic": encode.header(magic=b"\x89PNG\r\n\x1a\n"),
        "major 2": encode.header(major=2),
        "major 65535": encode.header(major=0xFFFF),
        "feature 0": encode.header(features=1),
        "feature 31": encode.header(features=1 << 31),
        "byte order": encode.header(order=0x04030201),
        "crc": good[:60] + bytes(4),
    }
    for (name, _), outcome in zip(files.items(), reader.run_bytes(files.values()), strict=True):
        assert refused(outcome), (name, outcome)


def test_odd_page_sizes(reader: Reader) -> None:
    """Free to refuse, not to crash."""
    data = synth.small_trace()[64:]
    for page_size in (0, 1, 3, 1 << 31, 0xFFFFFFFF):
        (outcome,) = reader.run_bytes([encode.header(page_size=page_size) + data])
        assert outcome.kind in ("ok", "format")


@functools.cache
def bombs() -> dict[str, bytes]:
    """Frames that inflate to 256 MiB, or lie about what they inflate to."""
    zeros = bytes(256 << 20)
    sized = zstandard.ZstdCompressor(level=1).compress(zeros)
    unsized = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(zeros)
    window = zstandard.ZstdCompressionParameters.from_level(1, window_log=27, write_content_size=False)
    wide = zstandard.ZstdCompressor(compression_params=window).compress(zeros)
    records = encode.ROOTED
    frame = zstandard.ZstdCompressor().compress(records)
    return {
        "a small raw length": encode.stored_block(0, 100, sized),
        "the largest raw length": encode.stored_block(0, 1 << 20, sized),
        "no content size": encode.stored_block(0, 1 << 20, unsized),
        "a wide window": encode.stored_block(0, 1 << 20, wide),
        "a raw length beyond the limit": encode.stored_block(0, 256 << 20, sized),
        "a raw length of 4 GiB": encode.stored_block(0, 0xFFFFFFFF, sized),
        "raw length 0": encode.stored_block(0, 0, frame),
        "one byte more": encode.stored_block(0, len(records) + 1, frame),
        "one byte less": encode.stored_block(0, len(records) - 1, frame),
        "an empty frame": encode.stored_block(0, 1, b""),
        "a cut frame": encode.stored_block(0, len(records), frame[:-1]),
        "no frame": encode.stored_block(0, len(records), records),
        "only a skippable frame": encode.stored_block(0, 8, b"\x50\x2a\x4d\x18\x08\0\0\0" + bytes(8)),
        "a stored length beyond the limit": encode.stored_block(0, 1, bytes((2 << 20) + 1)),
        "another sequence number": encode.stored_block(1, len(records), frame),
        "another magic": encode.stored_block(0, len(records), frame, b"QBLK"),
    }


def test_blocks_refused(reader: Reader) -> None:
    files = [encode.header() + block for block in bombs().values()]
    for name, outcome in zip(bombs(), reader.run_bytes(files), strict=True):
        assert refused(outcome), (name, outcome)
    assert reader.growth_kib[0] < 64 << 10
