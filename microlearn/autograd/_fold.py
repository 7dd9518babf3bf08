"""Which numbers of a graph get a box of their own, and which are folded into the box that they flow into."""


def fold(nodes, may_fold):
    """Fold what only one other number uses into that number, again and again, as far as `may_fold` allows.

    Parameters
    ----------
    nodes : list of Value
        Parents before children.
    may_fold : callable
        Says of a node whether it may lose its box.

    Returns
    -------
    shown : list of int
        The places in `nodes` that keep a box.
    inside : list of list of int
        For each box, the places of what is folded into it.
    edges : list of (int, int, float)
        Parent, child and slope of each edge between boxes. All edges from a number into a fold are one, whose slope
        is that of everything on the way: products along a path, summed over the paths.
    """
    place = {node: i for i, node in enumerate(nodes)}
    towards = [{} for _ in nodes]  # for each node, its children, each with the slope of all edges that lead there
    for i, node in enumerate(nodes):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            children = towards[place[parent]]
            children[i] = children.get(i, 0.0) + slope
    into, rate = list(range(len(nodes))), [1.0] * len(nodes)  # where each node is shown, and its slope towards there
    for i in reversed(range(len(nodes))):
        if len(towards[i]) == 1 and may_fold(nodes[i]):
            [(child, slope)] = towards[i].items()
            into[i], rate[i] = into[child], slope * rate[child]

    shown = sorted(set(into))
    box = {i: number for number, i in enumerate(shown)}
    inside = [[] for _ in shown]
    for i, owner in enumerate(into):
        if owner != i:
            inside[box[owner]].append(i)
    edges = {}
    for i, node in enumerate(nodes):
        child = box[into[i]]
        for use, (parent, slope) in enumerate(zip(node.parents, node.slopes, strict=True)):
            owner = into[place[parent]]
            if owner != into[i]:
                edge = box[owner], child, bool(inside[child]) or use  # the two edges of a * a stay two
                edges[edge] = edges.get(edge, 0.0) + slope * rate[i]
    return shown, inside, [(parent, child, slope) for (parent, child, _), slope in edges.items()]
