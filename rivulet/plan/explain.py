"""A graph as text: a tree from the sources down."""

from __future__ import annotations

from collections.abc import Iterator

from rivulet.core.node import Node, is_endless
from rivulet.core.stage import Channel, Combine, Port, Produce, Stamp, Transform
from rivulet.plan.graph import Plan, plan

__all__ = ["remarks", "tree"]


def tree(plan: Plan) -> str:
    """The graph as a tree; a node with several inputs stands below the first."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    children: dict[Node, list[Node]] = {node: [] for node in plan.nodes}
    for node in plan.nodes:
        if not plan.is_idle(node):
            for up in dict.fromkeys(plan.inputs(node)):
                children[up].append(node)
    shown: set[Node] = set()
    for node in plan.nodes:
        if not node.inputs():
            yield from _branch(plan, node, None, children, shown, "", "")


def _branch(
    plan: Plan,
    node: Node,
    above: Node | None,
    children: dict[Node, list[Node]],
    shown: set[Node],
    first: str,
    rest: str,
) -> Iterator[str]:
    number = plan.numbers[node]
    if node in shown:
        inputs = [str(i) for i, up in enumerate(plan.inputs(node), 1) if up is above]
        yield f"{first}→ #{number} {node.label}, as input {' and '.join(inputs)}"
        return
    shown.add(node)
    notes = remarks(plan, node)
    yield f"{first}#{number} {node.label}{'  (' + '; '.join(notes) + ')' if notes else ''}"
    stage = plan.stages[node]
    if isinstance(stage, Produce):
        for part in stage.nested:
            yield f"{rest}┆  reads by itself:"
            yield from (f"{rest}┆  {line}" for line in _lines(_nested(part)))
    below = children[node]
    for position, child in enumerate(below):
        last = position == len(below) - 1
        yield from _branch(
            plan,
            child,
            node,
            children,
            shown,
            rest + ("└─ " if last else "├─ "),
            rest + ("   " if last else "│  "),
        )


def _nested(part: Node) -> Plan:
    return plan(part)


def remarks(plan: Plan, node: Node) -> list[str]:
    """What is to be known of a node beside its name."""
    notes: list[str] = []
    stage = plan.stages[node]
    if isinstance(stage, Produce):
        if is_endless(node):
            notes.append("never ends")
        if not stage.replayable:
            notes.append("can be read once")
    if isinstance(stage, Channel | Combine):
        notes.append("what follows runs in a task of its own")
    if isinstance(stage, Stamp) and node not in plan.stamped:
        notes.append("nothing below needs it")
    if isinstance(stage, Transform):
        notes.append("opaque, stepped in place")
    used = {
        child_stage.name
        for child in plan.nodes
        if node in child.inputs() and isinstance(child_stage := plan.stages[child], Port)
    }
    notes.extend(f"{port}: dropped, nothing reads it" for port in node.ports() if port not in used)
    return notes
