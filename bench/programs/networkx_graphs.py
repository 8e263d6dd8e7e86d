"""networkx: build graphs of dictionaries and run shortest paths, flows, trees, centrality and colouring on them."""

import networkx as nx
from _common import Digest, rounds


def weigh(graph: nx.Graph) -> None:
    """Give each edge a weight and a capacity that depend on its ends alone."""
    for left, right, data in graph.edges(data=True):
        data["weight"] = (left * 7 + right * 13) % 101 + 1
        data["capacity"] = (left * 3 + right * 5) % 17 + 1


def study(size: int, digest: Digest) -> None:
    """One graph of `size` nodes, all algorithms."""
    graph = nx.barabasi_albert_graph(size, 5, seed=size)
    weigh(graph)
    paths = nx.single_source_dijkstra_path_length(graph, 0)
    digest.add(str(sorted(paths.items())))
    tree = nx.minimum_spanning_tree(graph)
    digest.add(str(sorted(tree.edges)[:500]))
    digest.add(str(nx.maximum_flow_value(graph, 0, size - 1)))
    digest.add(str(sorted(nx.core_number(graph).items())))
    digest.add(str(sorted(nx.greedy_color(graph).items())))
    centrality = nx.betweenness_centrality(graph, k=10, seed=3)
    digest.add(str([(node, round(value, 9)) for node, value in sorted(centrality.items())]))
    digest.add(str(round(nx.average_clustering(graph), 9)))


def main() -> None:
    digest = Digest()
    for number in range(rounds(4)):
        study(rounds(2_500, 300) + number, digest)
    digest.add(str(nx.number_connected_components(nx.grid_2d_graph(rounds(200, 20), 100))))
    digest.show("networkx")


if __name__ == "__main__":
    main()
