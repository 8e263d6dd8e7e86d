"""Numbers for people: sizes in steps of 1024, shares, durations, counts. No imports, any thread."""

_STEPS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: int) -> str:
    """Bytes as "0 B", "4.0 KiB", "1.5 MiB"; one decimal from KiB on."""
    if abs(count) < 1024:
        return f"{count} B"
    value = float(count)
    for unit in _STEPS:
        value /= 1024
        # 1023.95 would be printed as "1024.0": the next unit is the better name for it.
        if abs(value) < 1023.95 or unit == _STEPS[-1]:
            break
    return f"{value:,.1f} {unit}"


def parse_seconds(text: str) -> float | None:
    """A time as --at takes it, `2.5` or `2.5s`; None: it is none."""
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        return None


def parse_size(text: str) -> int:
    """Bytes from "500k", "10MiB", "1.5 G" or "65536": every unit is a step of 1024, its case and ending do not matter.

    Raises ValueError with one line for people.
    """
    word = text.strip()
    digits = word.rstrip("BbIiKkMmGgTt ")
    unit = word[len(digits) :].strip().lower()
    steps = {"": 0, "b": 0} | {f"{letter}{end}": n for n, letter in enumerate("kmgt", 1) for end in ("", "b", "ib")}
    if len(digits) > 20 or not digits.replace(".", "", 1).isdecimal() or not digits.isascii() or unit not in steps:
        raise ValueError(f"{text!r} is not a size: give a number of bytes, or one with a unit like 500k, 10MiB or 1G")
    return int(float(digits) * 1024 ** steps[unit])


def optional_size(count: int | None) -> str:
    """`size`, or "unknown" for None."""
    return "unknown" if count is None else size(count)


def kib(count: int) -> str:
    """Bytes as whole KiB with separators, for sums that must add up on paper. Pages are whole KiB."""
    if count % 1024:
        return f"{count:,} B"
    return f"{count // 1024:,} KiB"


def share(part: int, whole: int) -> str:
    """Part of the whole as "12.3 %"; "-" when the whole is nothing."""
    if whole <= 0:
        return "-"
    return f"{100 * part / whole:.1f} %"


def count(number: int, noun: str) -> str:
    """ "1 fault", "12,345 faults"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(nanoseconds: int) -> str:
    """Nanoseconds as "420 ns", "850 us", "12.3 ms", "4.56 s", "2 min 03 s" or "1 h 02 min"."""
    seconds = nanoseconds / 1e9
    if abs(nanoseconds) < 1000:
        return f"{nanoseconds} ns" if nanoseconds else "0 s"
    if abs(seconds) < 0.001:
        return f"{nanoseconds / 1e3:.0f} us"
    if abs(seconds) < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
