"""What a run counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivulet.core.node import Node
from rivulet.core.stage import Channel, Combine, Expand, Port, Produce, Test, Transform

if TYPE_CHECKING:
    from rivulet.run.execution import Execution

__all__ = ["OperatorStats", "Stats", "gathered"]


@dataclass(frozen=True, slots=True)
class OperatorStats:
    """Counts of one operator.

    Attributes:
        number: its place in the graph, as in ``explain()``.
        operator: as it was written.
        items: how many items it gave.
        failed: how many failures it took, if it is a policy.
        dropped: how many items it dropped because it was full.
        late: how many items came when their windows were closed.
    """

    number: int
    operator: str
    items: int
    failed: int = 0
    dropped: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of a run.

    Attributes:
        state: what it is doing.
        elapsed: seconds since it began.
        items: how many items its sources gave.
        failed: how many failures its policies took.
        dropped: how many items its buffers dropped.
        late: how many items came too late for its windows.
        operators: the counts of each operator.
    """

    state: str
    elapsed: float
    items: int
    failed: int
    dropped: int
    late: int
    operators: tuple[OperatorStats, ...]

    @property
    def rate(self) -> float:
        """Items read per second."""
        return self.items / self.elapsed if self.elapsed else 0.0

    def __str__(self) -> str:
        lines = [
            f"{self.state} for {self.elapsed:.1f} s, {self.items:,} items ({self.rate:,.0f}/s)"
        ]
        for op in self.operators:
            text = f"{op.number:4} {op.operator:40.40} {op.items:12,}"
            text += f"  {op.failed:,} failed" if op.failed else ""
            text += f"  {op.dropped:,} dropped" if op.dropped else ""
            text += f"  {op.late:,} late" if op.late else ""
            lines.append(text)
        return "\n".join(lines)


def gathered(execution: Execution, state: str, elapsed: float) -> Stats:
    """The counts of an execution as they are now."""
    plan = execution.plan
    failures = {node: count for loop in execution.loops for node, count in loop.failures.items()}
    late = {
        node: logic.late()
        for loop in execution.loops
        for node, logic in loop.bound.logics.items()
        if logic.late is not None
    }
    sources = {loop.region.root: loop.source for loop in execution.loops}
    operators: list[OperatorStats] = []
    items = 0
    for node in plan.nodes:
        if plan.is_idle(node):
            continue
        given = _given(execution, node)
        if isinstance(plan.stages[node], Produce):
            items += given
        dropped = getattr(sources.get(node), "dropped", 0)
        operators.append(
            OperatorStats(
                plan.numbers[node],
                node.label,
                given,
                failures.get(node, 0),
                dropped,
                late.get(node, 0),
            )
        )
    return Stats(
        state=state,
        elapsed=elapsed,
        items=items,
        failed=sum(op.failed for op in operators),
        dropped=sum(op.dropped for op in operators),
        late=sum(op.late for op in operators),
        operators=tuple(operators),
    )


def _given(execution: Execution, node: Node) -> int:
    """How many items a node gave: its own count, or that of the node before it."""
    stage = execution.plan.stages[node]
    counted = Produce | Channel | Combine | Transform | Expand | Test
    if isinstance(stage, counted):
        return execution.seen[execution.plan.numbers[node]]
    up = node.inputs()[0]
    if isinstance(stage, Port) and stage.name == "no":
        return _given(execution, up.inputs()[0]) - _given(execution, up)
    if isinstance(stage, Port) and stage.name == "errors":
        return sum(loop.failures.get(up, 0) for loop in execution.loops)
    return _given(execution, up)
