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
        Parent, child and slope of each edge between boxes. The slope into a fold is that of everything on the way:
        products along a path, summed over the paths.
    """
    place = {node: i for i, node in enumerate(nodes)}
    homes, rates = _homes(nodes, place, may_fold)
    shown = sorted(set(homes))
    box = {i: number for number, i in enumerate(shown)}
    inside = [[] for _ in shown]
    for i, home in enumerate(homes):
        if home != i:
            inside[box[home]].append(i)
    edges = {}
    for i, node in enumerate(nodes):
        child = box[homes[i]]
        for use, (parent, slope) in enumerate(zip(node.parents, node.slopes, strict=True)):
            home = homes[place[parent]]
            if home != homes[i]:
                # All edges into a fold are one; elsewhere the two edges of a * a stay two.
                edge = box[home], child, bool(inside[child]) or use
                edges[edge] = edges.get(edge, 0.0) + slope * rates[i]
    return shown, inside, [(parent, child, slope) for (parent, child, _), slope in edges.items()]


def _homes(nodes, place, may_fold):
    """Find for each node the one in whose box it stands, and its slope towards that one."""
    uses = [{} for _ in nodes]  # for each node: its children, with the slope towards each
    for child, node in enumerate(nodes):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            towards = uses[place[parent]]
            towards[child] = towards.get(child, 0.0) + slope
    homes, rates = list(range(len(nodes))), [1.0] * len(nodes)
    for i in reversed(range(len(nodes))):
        if len(uses[i]) == 1 and may_fold(nodes[i]):
            [(child, slope)] = uses[i].items()
            homes[i], rates[i] = homes[child], slope * rates[child]
    return homes, rates
