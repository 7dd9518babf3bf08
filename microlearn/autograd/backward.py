"""The backward walk: from a result to everything it was made of, each node once.

It knows nothing of numbers or operations. A node has `parents`, a `grad`, and a method
`pass_gradient_on` that adds this node's share to each parent; whatever has these three can be walked.
"""


def topological_order(root):
    """List the nodes that `root` was computed from, every parent before its children.

    Leaves (nodes without parents) are left out: they have nothing to pass on.

    Parameters
    ----------
    root : node
        Where the walk begins; it comes last in the list.

    Returns
    -------
    list of node

    Raises
    ------
    TypeError
        If `root` is no node.

    Examples
    --------
    >>> from microlearn import Value
    >>> a = Value(2.0)
    >>> [node.op for node in topological_order((a * 3 + 1).tanh())]
    ['*', '+', 'tanh']
    """
    if not hasattr(root, "parents"):
        raise TypeError(f"root: expected a node that has parents, such as a Value, got {type(root).__name__}: {root!r}")
    order, seen = [], set()
    stack = [root] if root.parents else []
    while stack:  # not Python's stack, which a long chain would fill
        node = stack.pop()
        if node is None:  # the marker below: what the next one was made of is listed
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            stack.append(node)
            stack.append(None)
            for parent in reversed(node.parents):  # so that the first comes off first
                if parent.parents and parent not in seen:
                    stack.append(parent)
    return order


def backward(root):
    """Fill in `grad`, the derivative of `root`, for everything that `root` was made of.

    Leaves accumulate: a second call adds to what they hold, as in PyTorch with a
    retained graph. Interior nodes start again from zero at each call.

    Parameters
    ----------
    root : node
        The result whose derivatives are wanted.

    Examples
    --------
    >>> from microlearn import Value
    >>> a = Value(3.0)
    >>> backward(a * a)
    >>> a.grad
    6.0
    """
    order = topological_order(root)
    for node in order:
        node.grad = 0.0
    root.grad += 1.0  # the derivative of a thing by itself
    for node in reversed(order):
        node.pass_gradient_on()
