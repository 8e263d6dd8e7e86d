"""C functions and methods, bound and not, types, callbacks from C, and C functions that raise."""

import bisect
import functools
import itertools
import json
import operator
import re


class Key:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n

    def __repr__(self):
        return f"Key({self.n})"


def key(x):
    return -x


def predicate(x):
    return x % 2


def compare(a, b):
    return a - b


def visit(match):
    return match.group(0).upper()


def hook(pairs):
    return dict(pairs)


def main():
    numbers = [3, 1, 2]
    numbers.append(0)
    append = numbers.append
    append(9)
    list.append(numbers, 7)
    print(sorted(numbers, key=key), sorted(numbers, key=functools.cmp_to_key(compare)), min(numbers, key=key))
    print(list(map(key, numbers)), list(filter(predicate, numbers)), sorted([Key(2), Key(1)]))
    print(str.join("-", ["a", "b"]), "x".join("ab"), "{}".format(1), "%s" % Key(3), f"{Key(4)!r}")
    print(re.sub("a", visit, "banana"), json.loads('{"a": [1, {"b": 2}]}', object_pairs_hook=hook))
    print(
        dict.fromkeys("ab", 1),
        int("12", 16),
        float("1.5"),
        list("ab"),
        tuple(iter([1])),
        bytes(2),
        type(3),
        type("T", (), {}),
    )
    print(list(itertools.accumulate([1, 2], operator.add)), list(zip([1], [2])), dict(a=1), isinstance(3, int))
    print(bisect.bisect([1, 2, 3], 2), operator.itemgetter(1)([4, 5]), operator.methodcaller("upper")("a"))
    for bad in (
        lambda: [].pop(),
        lambda: {}["x"],
        lambda: int("z"),
        lambda: next(iter([])),
        lambda: len(3),
        lambda: "a".index("b"),
    ):
        try:
            bad()
        except Exception as error:
            print(type(error).__name__)
    args, kwargs = ([3, 1],), {"reverse": True}
    print(sorted(*args, **kwargs), print(*[1, 2], **{"sep": ","}), key(*[1]), max(*[1, 2]), "ab".replace(*["a", "b"]))
    getattr(numbers, "sort")(key=key)
    print(numbers, hash(1), abs(-1), divmod(7, 2), round(1.5), sum([1, 2]), any([0]), all([]), callable(len))


main()
