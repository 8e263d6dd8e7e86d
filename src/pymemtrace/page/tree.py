"""A call tree as columns: those nodes of a larger one that are needed, with what is below the rest added to them."""

from collections.abc import Callable, Iterable

Node = tuple[int, int]  # parent, frame; the root is node 0 (-1, -1); parents stand before children


class Tree:
    """Made of a larger tree, of which nodes are asked for by their numbers there.

    parent, frame: columns; node 0 is the root. A node that is not in `kept` is its nearest ancestor that is.
    """

    def __init__(self, nodes: list[Node], frame_of: Callable[[int], int], kept: set[int] | None = None) -> None:
        self.parent = [-1]
        self.frame = [-1]
        self._nodes = nodes
        self._frame_of = frame_of
        self._kept = kept
        self._numbers = {0: 0}

    def node(self, wanted: int) -> int:
        """The number here of a node there."""
        path = []
        while wanted not in self._numbers:
            path.append(wanted)
            wanted = self._nodes[wanted][0]
        number = self._numbers[wanted]
        for each in reversed(path):
            if self._kept is None or each in self._kept:
                number = self.add(number, self._frame_of(self._nodes[each][1]))
            self._numbers[each] = number
        return number

    def add(self, parent: int, frame: int) -> int:
        """A node below another."""
        self.parent.append(parent)
        self.frame.append(frame)
        return len(self.parent) - 1


def largest(nodes: list[Node], weights: Iterable[tuple[int, int]], limit: int) -> set[int] | None:
    """The nodes with the largest weights (of each all that is given is added up), and their ancestors: so many at most.

    None: all of those that have a weight.
    """
    sums: dict[int, int] = {}
    for node, weight in weights:
        sums[node] = sums.get(node, 0) + weight
    kept: set[int] = set()
    for node in sorted(sums, key=lambda each: (-sums[each], each)):
        path = []
        while node > 0 and node not in kept:
            path.append(node)
            node = nodes[node][0]
        if len(kept) + len(path) > limit:
            return kept
        kept.update(path)
    return None
