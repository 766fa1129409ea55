"""Cut a graph into regions: trees of stages that run in one loop, between boundaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rivulet.core.node import Node, ancestors, frozen, parts
from rivulet.core.stage import Channel, Combine, Guard, Port, Produce, Stage, Stamp, Step, Transform
from rivulet.errors import GraphError
from rivulet.plan.waits import check_circles, leave_out

__all__ = ["Deliver", "Plan", "Put", "Reach", "Region", "plan"]


def is_idle(stage: Stage) -> bool:
    """Whether a node only gives on what it gets, so that nobody needs to see it."""
    return isinstance(stage, Port) and not stage.name


@frozen
class Put(Node):
    """The end of a branch that hands its items over to a boundary, or out of the graph."""

    to: Node | None
    index: int = 0

    @property
    def name(self) -> str:
        return "put"

    @property
    def label(self) -> str:
        return "the reader" if self.to is None else self.to.label


@frozen
class Deliver(Node):
    """The end of a branch that was asked for: its items are results of the run."""

    target: Node

    @property
    def label(self) -> str:
        return self.target.label


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the failure of a stage goes.

    Attributes:
        guards: the nearest policies below, on every path.
        bare: some path has none, so the error is raised.
    """

    guards: frozenset[Node]
    bare: bool


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One tree of stages: what one loop runs.

    Attributes:
        number: its place among the regions.
        root: where its items come from: a source or a boundary.
        nodes: the tree, each node before what comes after it, root first.
        children: what comes after each node, in the order in which it was written.
        parent: what comes before each node but the root.
    """

    number: int
    root: Node
    nodes: tuple[Node, ...]
    children: Mapping[Node, tuple[Node, ...]]
    parent: Mapping[Node, Node]

    @property
    def puts(self) -> tuple[Put, ...]:
        """Where the tree hands items over."""
        return tuple(node for node in self.nodes if isinstance(node, Put))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A graph as it is run.

    Attributes:
        targets: the nodes that were asked for.
        nodes: all of them in the order in which they were made.
        numbers: the place of each node in that order, from 1; idle ones come last.
        stages: what each node does.
        regions: the trees, sources before what they feed.
        stamped: the nodes whose outputs carry stamps, because something below needs them.
        reach: where a failure of each node goes.
        rejoining: combining nodes whose inputs come from one source.
        stamps: what is handed over carries stamps.
    """

    targets: tuple[Node, ...]
    nodes: tuple[Node, ...]
    numbers: Mapping[Node, int]
    stages: Mapping[Node, Stage]
    regions: tuple[Region, ...]
    stamped: frozenset[Node]
    reach: Mapping[Node, Reach]
    rejoining: frozenset[Node]
    stamps: bool

    def is_idle(self, node: Node) -> bool:
        """Whether a node only gives on what it gets, so that nobody needs to see it."""
        return is_idle(self.stages[node])

    def inputs(self, node: Node) -> tuple[Node, ...]:
        """What a node reads, past those that are idle."""
        return tuple(self._busy(up) for up in node.inputs())

    def _busy(self, node: Node) -> Node:
        while self.is_idle(node):
            (node,) = node.inputs()
        return node

    def has_policy(self, node: Node) -> bool:
        """Whether the failure of a node's own call goes to policies, on every path below."""
        reach = self.reach[node]
        return not reach.bare and bool(reach.guards)

    def takes(self, node: Node, error: BaseException) -> bool:
        """Whether every path below a node has a policy that takes an error of it."""
        reach = self.reach[node]
        stages = [self.stages[guard] for guard in reach.guards if not isinstance(guard, Put)]
        return not reach.bare and all(
            isinstance(stage, Guard) and isinstance(error, stage.types) for stage in stages
        )

    def boundaries(self, node: Node) -> int:
        """How many boundaries there are at most from a source to a node, in nested graphs too."""
        known: dict[Node, int] = {}
        todo = [node]
        while todo:
            at = todo[-1]
            above = parts(at)
            if unknown := [part for part in above if part not in known]:
                todo.extend(unknown)
                continue
            todo.pop()
            match at.stage():
                case Channel() | Combine():
                    own = 1
                case Produce(nested=nested) if nested:
                    own = 2
                case _:
                    own = 0
            known[at] = own + max((known[part] for part in above), default=0)
        return known[node]

    def replayable(self, node: Node) -> bool:
        """Whether all that a node is made of could be read again."""
        return all(
            stage.replayable
            for above in ancestors(node)
            if isinstance(stage := self.stages[above], Produce)
        )


@dataclass(slots=True)
class _Planner:
    targets: tuple[Node, ...]
    handover: bool
    stamps: bool
    guarded: bool
    stages: dict[Node, Stage] = field(default_factory=dict[Node, Stage])
    below: dict[Node, list[Node]] = field(default_factory=dict[Node, list[Node]])
    regions: list[Region] = field(default_factory=list[Region])

    def run(self) -> Plan:
        order = ancestors(*self.targets)
        self.stages = {node: node.stage() for node in order}
        self._check_sources(order)
        leave_out(order, self.stages)
        check_circles(order, self.stages)
        self.below = {node: [] for node in order}
        for node in sorted(order, key=lambda n: n.serial):
            for index, up in enumerate(node.inputs()):
                child = Put(node, index) if self._boundary(node) else node
                self.below[up].append(child)
        for target in dict.fromkeys(self.targets):
            end = Put(None) if self.handover else Deliver(target)
            self.below[target].append(end)
        for node in order:
            if not self._is_root(node):
                continue
            stage = self.stages[node]
            if isinstance(stage, Produce) and stage.sharing:
                for child in self.below[node]:
                    self._region(node, [child])
            else:
                self._region(node, self.below[node])
        nodes = sorted(order, key=lambda n: n.serial)
        numbered = sorted(nodes, key=lambda n: is_idle(self.stages[n]))
        return Plan(
            targets=self.targets,
            nodes=tuple(nodes),
            numbers={node: number for number, node in enumerate(numbered, 1)},
            stages=self.stages,
            regions=tuple(self.regions),
            stamped=self._stamped(order),
            reach=self._reaches(order),
            rejoining=self._rejoining(order),
            stamps=self.stamps,
        )

    def _boundary(self, node: Node) -> bool:
        return isinstance(self.stages[node], Channel | Combine)

    def _is_root(self, node: Node) -> bool:
        return isinstance(self.stages[node], Channel | Combine | Produce)

    def _region(self, root: Node, first: Sequence[Node]) -> None:
        nodes: list[Node] = []
        children: dict[Node, tuple[Node, ...]] = {}
        parent: dict[Node, Node] = {}
        stack = [root]
        while stack:
            node = stack.pop()
            nodes.append(node)
            below = first if node is root else self.below.get(node, ())
            children[node] = tuple(below)
            parent.update(dict.fromkeys(below, node))
            stack.extend(reversed(below))
        self.regions.append(Region(len(self.regions), root, tuple(nodes), children, parent))

    def _check_sources(self, order: Sequence[Node]) -> None:
        """Two sources over one iterator would each get a part of its items."""
        seen: list[tuple[object, Node]] = []
        for node in order:
            stage = self.stages[node]
            if not isinstance(stage, Produce) or stage.one_shot is None:
                continue
            for other, earlier in seen:
                if other is stage.one_shot:
                    raise GraphError(
                        f"{earlier.label} and {node.label} read the same iterator, so each would "
                        f"get a part of its items: make one Stream of it and use that twice"
                    )
            seen.append((stage.one_shot, node))

    def _stamped(self, order: Sequence[Node]) -> frozenset[Node]:
        found: set[Node] = set()
        for node in reversed(order):
            stage = self.stages[node]
            if isinstance(stage, Combine) and stage.stepped:
                found.add(node)
            elif any(self._wants_stamps(child, found) for child in self.below[node]):
                found.add(node)
                if _has_no_stamps(stage):
                    raise GraphError(
                        f"the time of its items is needed below {node.label}, which doesn't give "
                        f"it: put event_time(...) after it"
                    )
        return frozenset(found)

    def _wants_stamps(self, node: Node, found: set[Node]) -> bool:
        if isinstance(node, Put):
            if node.to is None:
                return self.stamps
            stage = self.stages[node.to]
            silent = isinstance(stage, Combine) and node.index in stage.silent
            return node.to in found and not silent
        if isinstance(node, Deliver):
            return False
        match self.stages[node]:
            case Stamp() | Transform():
                return False
            case Step(stamps="need"):
                return True
            case _:
                return node in found

    def _reaches(self, order: Sequence[Node]) -> dict[Node, Reach]:
        found: dict[Node, Reach] = {}
        for node in reversed(order):
            guards: set[Node] = set()
            bare = not self.below[node]
            for child in self.below[node]:
                if isinstance(child, Deliver):
                    bare = True
                elif isinstance(child, Put) and child.to is None:
                    bare = bare or not self.guarded
                    guards |= {child} if self.guarded else set()
                elif isinstance(child, Put):
                    assert child.to is not None
                    guards |= found[child.to].guards
                    bare = bare or found[child.to].bare
                elif isinstance(stage := self.stages[child], Guard):
                    guards.add(child)
                    bare = bare or stage.raises
                else:
                    guards |= found[child].guards
                    bare = bare or found[child].bare
            found[node] = Reach(frozenset(guards), bare)
        return found

    def _rejoining(self, order: Sequence[Node]) -> frozenset[Node]:
        found: set[Node] = set()
        for node in order:
            inputs = node.inputs()
            if len(inputs) < 2 or not isinstance(self.stages[node], Combine):
                continue
            seen: set[Node] = set()
            for up in inputs:
                above = set(ancestors(up))
                if seen & above:
                    found.add(node)
                seen |= above
        return frozenset(found)


def _has_no_stamps(stage: Stage) -> bool:
    match stage:
        case Transform() | Step(stamps="lose"):
            return True
        case Produce(nested=nested):
            return not nested or not all(gives_time(part) for part in nested)
        case _:
            return False


def plan(
    *targets: Node, handover: bool = False, stamps: bool = False, guarded: bool = False
) -> Plan:
    """Cut the graph above some nodes into regions.

    Args:
        targets: the nodes whose items are wanted.
        handover: hand the items of the (only) target over to a reader outside.
        stamps: hand them over with their stamps.
        guarded: hand failures over as well, as something outside has a policy for them.

    Raises:
        GraphError: two sources read one iterator, or the time of items is needed and not there.
    """
    return _Planner(targets, handover, stamps, guarded).run()


def gives_time(target: Node) -> bool:
    """Whether the items of a node carry stamps that a reader outside can take."""
    try:
        plan(target, handover=True, stamps=True)
    except GraphError:
        return False
    return True
