"""pickle: dump and load a graph of objects with shared parts, reductions and state, in C and in Python."""

import datetime
import pickle
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from _common import Digest, rounds


@dataclass
class Node:
    """One object of the graph."""

    name: str
    weight: Decimal
    made: datetime.datetime
    links: list["Node"] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Label:
    """A small object without a dictionary."""

    text: str
    ratio: Fraction


def graph(size: int) -> list[Node]:
    """A list of nodes that link back to earlier ones."""
    start = datetime.datetime(2024, 1, 1)
    nodes: list[Node] = []
    for number in range(size):
        node = Node(f"node {number}", Decimal(number) / 7, start + datetime.timedelta(minutes=number))
        node.links = [nodes[(number * step) % number] for step in (3, 7, 11)] if number else []
        node.extra = {
            "label": Label(f"label {number % 100}", Fraction(number, 13)),
            "queue": deque(range(number % 9), maxlen=9),
            "order": OrderedDict((f"k{key}", bytes([key]) * key) for key in range(6)),
            "tuple": (number, float(number), str(number), frozenset({number})),
        }
        nodes.append(node)
    return nodes


def main() -> None:
    digest = Digest()
    nodes = graph(rounds(7_000, 500))
    for _ in range(rounds(8)):
        raw = pickle.dumps(nodes, protocol=pickle.HIGHEST_PROTOCOL)
        digest.add(raw)
        nodes = pickle.loads(raw)
    # The Python implementation recurses; without links a node's depth is small.
    flat = [Label(node.name, Fraction(node.weight)) for node in nodes[: len(nodes) // 2]]
    digest.add(str(len(pickle._dumps(flat))))  # type: ignore[attr-defined]
    digest.add(str(pickle._loads(pickle._dumps(flat)) == flat))  # type: ignore[attr-defined]
    digest.show("pickle")


if __name__ == "__main__":
    main()
