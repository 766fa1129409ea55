"""Stages that wait for what other stages do: the boundaries that they need, and no circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rivulet.core.node import Node, ancestors, parts
from rivulet.core.stage import Channel, Combine, Port, Produce, Stage, Step
from rivulet.errors import GraphError

__all__ = ["check_circles", "leave_out"]

Needs = Mapping[Node, Mapping[Node, Node]]
"""For a stage that signals, what has to signal before it, and the stage that waits for that."""


def leave_out(order: Sequence[Node], stages: dict[Node, Stage]) -> None:
    """Take out the boundaries that are only for stages that would wait for their own loop."""
    for node in order:
        stage = stages[node]
        if not isinstance(stage, Channel) or not stage.only_for:
            continue
        above = node.inputs()[0]
        root = [above, *_loop_above(above, stages)][-1]
        signals = set(stage.only_for)
        if not any(
            signals.intersection(_signals(stages[other])) and root in ancestors(other)
            for other in order
        ):
            stages[node] = Port(name="")


def check_circles(order: Sequence[Node], stages: Mapping[Node, Stage]) -> None:
    """See that no stage waits for what only comes when it goes on.

    Raises:
        GraphError: some do.
    """
    needs = _needs(order, stages)
    circle = _circle(needs)
    if circle:
        turns = zip(circle, [*circle[1:], circle[0]], strict=True)
        links = [
            f"{one.label} needs {needs[one][other].label} to go on, which waits for {other.label}"
            for one, other in turns
        ]
        raise GraphError(f"the graph waits for itself: {'; '.join(links)}")


def _needs(order: Sequence[Node], stages: Mapping[Node, Stage]) -> Needs:
    signalling: dict[object, list[Node]] = {}
    needs: dict[Node, dict[Node, Node]] = {}
    for node in order:
        for signal in _signals(stages[node]):
            signalling.setdefault(signal, []).append(node)
            needs[node] = {}

    def add(node: Node, waiting: Node) -> None:
        for signal in _waits(waiting.stage()):
            needs[node].update(dict.fromkeys(signalling.get(signal, ()), waiting))

    for node in needs:
        for above in _made_of(node):
            add(node, above)
    for node in order:
        if _waits(stages[node]):
            # A stage signals when its item has left all that comes after it in its loop.
            for above in _loop_above(node, stages):
                if above in needs:
                    add(above, node)
    return needs


def _signals(stage: Stage) -> tuple[object, ...]:
    return stage.signals if isinstance(stage, Step) else ()


def _waits(stage: Stage) -> tuple[object, ...]:
    return stage.waits if isinstance(stage, Step) else ()


def _loop_above(node: Node, stages: Mapping[Node, Stage]) -> Iterator[Node]:
    """The nodes above one in its own loop."""
    while not isinstance(stages[node], Channel | Combine | Produce):
        node = node.inputs()[0]
        yield node


def _made_of(node: Node) -> set[Node]:
    """All that is above a node, in nested graphs too."""
    found: set[Node] = set()
    stack = [node]
    while stack:
        above = [up for up in parts(stack.pop()) if up not in found]
        found.update(above)
        stack.extend(above)
    return found


def _circle(needs: Needs) -> list[Node]:
    """Nodes of which each needs the next, and the last the first; empty if there are none."""
    done: set[Node] = set()

    def visit(node: Node, path: list[Node]) -> list[Node]:
        if node in path:
            return path[path.index(node) :]
        if node not in done:
            for other in needs[node]:
                if found := visit(other, [*path, node]):
                    return found
            done.add(node)
        return []

    for node in needs:
        if found := visit(node, []):
            return found
    return []
