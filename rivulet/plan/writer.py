"""The lines of a region's code, and what is known of its nodes while they are written."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Literal

from rivulet.core.callables import Mode
from rivulet.core.node import Node
from rivulet.core.stage import (
    Apply,
    Combine,
    Effect,
    Expand,
    Group,
    Port,
    Stage,
    Stamp,
    Step,
    Test,
    Transform,
)
from rivulet.plan.graph import Deliver, Plan, Put, Region

__all__ = ["Item", "Place", "Shape", "Writer", "base"]

DEEPEST = 16
"""Levels of indentation after which a branch gets a function of its own (CPython takes 100)."""
MOST_BLOCKS = 8
"""Nested loops and ``try`` after which it does (CPython takes 20)."""
MOST_NESTED = 100
"""Stages one below the other after which it does; the writer goes down by recursion."""
SMALL = 5
"""Stages that are written again in each of the ways through them that aren't the loop."""


@dataclass(slots=True)
class Shape:
    """What is known of a region while it runs, on which its code depends.

    Attributes:
        source: how items are read.
        modes: how the results of each callable are taken, by its name in the code.
        strays: the callables settled as plain that could give an awaitable one day.
        hooks: which parts the logic of each stage has.
        dead: the nodes that want no more items.
        counted: items are counted.
        held: a pause may be asked for while the loop waits in its source.
        begun: the outputs that come before the first item have been sent.
        results: what is done with the results of the run.
    """

    source: Literal["sync", "async", "inbox"] = "sync"
    modes: dict[str, Mode] = field(default_factory=dict[str, Mode])
    strays: set[str] = field(default_factory=set[str])
    hooks: dict[Node, frozenset[str]] = field(default_factory=dict[Node, frozenset[str]])
    dead: set[Node] = field(default_factory=set[Node])
    counted: bool = False
    held: bool = False
    begun: bool = False
    results: Literal["none", "call", "yield"] = "none"


@dataclass(frozen=True, slots=True)
class Place:
    """What a line of the code works on: a stage, and the name that holds its item."""

    node: Node
    item: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """The names that hold an item at one place of the code.

    Attributes:
        x: the item.
        t: its stamp, where there is one.
        g: the state of its key, inside of a group.
        own: nothing after this place needs the item, so its name may be used again.
    """

    x: str
    t: str = "None"
    g: str = ""
    own: bool = True

    @property
    def passed(self) -> str:
        """The names, as the arguments or parameters of a function."""
        return ", ".join(name for name in (self.x, self.t, self.g) if name not in ("", "None"))


def base(plan: Plan, node: Node) -> str:
    """The name of a node in the code, such as ``map_2``."""
    if isinstance(node, Put):
        return "put" if node.to is None else f"put_{plan.numbers[node.to]}_{node.index}"
    name = node.name
    return f"{name if name.isidentifier() else 'step'}_{plan.numbers[node]}"


class Writer:
    """Collects the lines of one region. Lives for one call of ``write``."""

    def __init__(self, plan: Plan, region: Region, shape: Shape) -> None:
        self.plan = plan
        self.region = region
        self.shape = shape
        self.lines: list[str] = []
        self.places: dict[int, Place] = {}
        self.busy: dict[int, tuple[Node, ...]] = {}
        self.names: dict[str, None] = {}
        self.functions: list[str] = []
        self.parts: list[tuple[str, Node, Item, bool]] = []
        self._parts: dict[tuple[Node, bool, bool, bool], str] = {}
        self.nested = 0
        self.failing: dict[Node, None] = {}
        self.guarding: dict[Node, None] = {}
        self.source_line = -1
        self.yields = shape.results == "yield"
        self.is_generator = self.yields
        self._has_pipes = any(isinstance(plan.stages.get(node), Transform) for node in region.nodes)
        self.in_loop = False
        self._tallies: dict[str, str] | None = None
        self.checks = False
        self.open: tuple[Node, ...] = ()
        self.timed = frozenset(node for node in region.nodes if self._is_timed(node))
        self.slots = self._slots()
        self._depth = 1
        self._blocks = 0
        self._fresh = count(1)

    # Lines

    def line(self, text: str, node: Node | None = None, item: str | None = None) -> None:
        """Add a line; ``node`` is what fails when it raises, on the item of that name."""
        self.lines.append("    " * self._depth + text)
        if node is not None:
            self.places[len(self.lines)] = Place(node, item)
        if self.in_loop:
            self.busy[len(self.lines)] = self.open

    @contextmanager
    def block(
        self, head: str, node: Node | None = None, item: str | None = None
    ) -> Generator[None]:
        """A block of code; one that stays empty gets a ``pass``."""
        self.line(head, node, item)
        nested = head.startswith(("for", "async", "while", "try"))
        self._depth += 1
        self._blocks += nested
        begun = len(self.lines)
        yield
        if len(self.lines) == begun:
            self.line("pass")
        self._depth -= 1
        self._blocks -= nested

    @contextmanager
    def function(
        self, name: str, parameters: str = "", *, loop: bool = False, checks: bool = False
    ) -> Generator[None]:
        """One of the functions that the code gives.

        Args:
            loop: it is the loop itself.
            checks: it is a part of the loop, so it waits for timers before their stages.
        """
        self.functions.append(name)
        self.in_loop, self.checks = loop, loop or checks
        with self.block(f"async def {name}({parameters}):"):
            if self._has_pipes and not self.is_generator:
                self.line(f"this = {self.use('current')}[{self.use('here')}]")
            yield
        self.in_loop = self.checks = False

    # Counts

    def count(self, node: Node) -> None:
        """Count an item that a node gives, where that was asked for."""
        if not self.shape.counted:
            return
        number = self.plan.numbers[node]
        if self.in_loop and self._tallies is not None:
            self._tallies[f"n{number}"] = f"{self.use('seen')}[{number}]"
            self.line(f"n{number} += 1")
        else:
            self.line(f"{self.use('seen')}[{number}] += 1")

    @contextmanager
    def tallying(self) -> Generator[Mapping[str, str]]:
        """Count in local variables of the loop, which are given when they are known."""
        self._tallies = {}
        yield self._tallies
        self._tallies = None

    @property
    def is_tallying(self) -> bool:
        """Whether counts are in local variables."""
        return self._tallies is not None

    def flush(self) -> None:
        """Add what was counted in local variables to the counts of the run."""
        if self._tallies:
            sums = [f"{count} += {tally}" for tally, count in self._tallies.items()]
            self.line("; ".join([*sums, f"{' = '.join(self._tallies)} = 0"]))

    def variable(self, prefix: str = "x") -> str:
        """A name for an item that is not used yet."""
        return f"{prefix}{next(self._fresh)}"

    def use(self, name: str) -> str:
        """A name that has to be bound."""
        self.names[name] = None
        return name

    def name(self, node: Node, suffix: str = "") -> str:
        """The bound name of a node's callable, or of another part of its logic."""
        return self.use(base(self.plan, node) + suffix)

    def part(self, node: Node, item: Item) -> bool:
        """Put a branch into a function of its own where it is too deep, or large and used often."""
        deep = self._depth >= DEEPEST or self._blocks >= MOST_BLOCKS or self.nested >= MOST_NESTED
        if not deep and (self.in_loop or self._is_small(node)):
            return False
        key = node, item.t == "None", item.g == "", self.checks
        name = self._parts.get(key)
        if name is None:
            name = self._parts[key] = f"part_{len(self.parts) + 1}"
            self.parts.append((name, node, Item(item.x, item.t, item.g), self.checks))
        opened = self.open
        self.open = (*opened, *(n for n in self.timed if n is node or self.is_below(n, node)))
        self.line(f"await {name}({item.passed})")
        self.open = opened
        return True

    def _is_small(self, node: Node) -> bool:
        """Whether a branch may be written again in each of the ways through the stages."""
        return sum(1 for _ in islice(self.branch(node), SMALL)) < SMALL

    # Nodes

    def stage(self, node: Node) -> Stage:
        """What a node does."""
        return self.plan.stages[node]

    def hooks(self, node: Node) -> frozenset[str]:
        """Which parts the logic of a node has."""
        return self.shape.hooks.get(node, frozenset())

    def live(self, node: Node, port: str = "") -> list[Node]:
        """The branches below one output of a node that still want items."""
        return [child for child in self.every(node) if self._port(child) == port]

    def every(self, node: Node) -> list[Node]:
        """The branches below all outputs of a node that still want items."""
        return [child for child in self.region.children[node] if child not in self.shape.dead]

    def _port(self, child: Node) -> str:
        if isinstance(child, Put | Deliver):
            return ""
        stage = self.stage(child)
        return stage.name if isinstance(stage, Port) else ""

    def is_below(self, node: Node, above: Node) -> bool:
        """Whether a node is somewhere in the branch below another."""
        return any(at is above for at in self.above(node))

    def above(self, node: Node) -> Iterator[Node]:
        """The nodes before a node in its region, the nearest first."""
        at = self.region.parent.get(node)
        while at is not None:
            yield at
            at = self.region.parent.get(at)

    def branch(self, node: Node) -> Iterator[Node]:
        """The live nodes below a node."""
        for child in self.every(node):
            yield child
            yield from self.branch(child)

    def may_be_left(self, node: Node) -> bool:
        """Whether something below a node may want no more items before the source ends."""
        return any(
            isinstance(below, Put) or (not isinstance(below, Deliver) and self.is_ender(below))
            for below in self.branch(node)
        )

    def is_ender(self, node: Node) -> bool:
        """Whether a node may want no more items before its source ends."""
        if isinstance(node, Put | Deliver):
            return False
        stage = self.stage(node)
        return isinstance(stage, Transform) or (isinstance(stage, Step) and stage.ends)

    def may_wait(self, node: Node) -> bool:
        """Whether anything in the branch below a node may wait."""
        return any(self._may_wait(below) for below in self.branch(node))

    def _may_wait(self, node: Node) -> bool:
        if isinstance(node, Put):
            return True
        if isinstance(node, Deliver):
            return self.shape.results == "yield"
        stage = self.stage(node)
        if isinstance(stage, Port):
            return False
        if not isinstance(stage, Apply | Test | Expand | Effect) or self.plan.has_policy(node):
            return True
        name = base(self.plan, node)
        modes = [name, *(f"{name}_by{number}" for number in range(len(stage.select)))]
        settled = all(self.shape.modes.get(mode, "sync") == "sync" for mode in modes)
        by_function = isinstance(stage, Expand) and stage.fn is not None and not stage.fold
        return not settled or stage.awaits or by_function

    @property
    def starts(self) -> bool:
        """Whether some stage gives something before the first item."""
        early = {"on_start", "again"}
        return any(early & hooks for hooks in self.shape.hooks.values()) or any(
            isinstance(self.plan.stages.get(node), Transform) for node in self.region.nodes
        )

    def may_stray(self, node: Node) -> bool:
        """Whether a function above a sink could have given an awaitable in place of an item."""
        return any(base(self.plan, above) in self.shape.strays for above in self.above(node))

    # Time

    def _is_timed(self, node: Node) -> bool:
        if isinstance(node, Put | Deliver):
            return False
        match self.stage(node):
            case Transform():
                return True
            case Step(timed=timed) | Combine(timed=timed):
                return timed
            case Stamp(idle=idle):
                return idle is not None and node in self.plan.stamped
            case Group(idle=idle):
                return idle is not None
            case _:
                return False

    def carries(self, node: Node) -> bool:
        """Whether the items that come into a node carry stamps."""
        if isinstance(node, Put):
            return self.plan.stamps if node.to is None else node.to in self.plan.stamped
        return self.region.parent[node] in self.plan.stamped

    def is_clock(self, node: Node) -> bool:
        """Whether the branch below a node has an event clock of its own."""
        if isinstance(node, Put | Deliver) or node not in self.plan.stamped:
            return False
        if node is self.region.root:
            return True
        stage = self.stage(node)
        return isinstance(stage, Stamp) or (isinstance(stage, Step) and stage.holds)

    def is_told(self, node: Node) -> bool:
        """Whether a node itself has to be told that event time goes on."""
        if isinstance(node, Put):
            return self.carries(node)
        if isinstance(node, Deliver) or isinstance(self.stage(node), Stamp):
            return False
        return "on_time" in self.hooks(node) or self.is_clock(node)

    def tells(self, clock: Node) -> bool:
        """Whether something in the branch of a clock has to be told that time goes on."""
        return any(
            self.is_told(child) or (not self.is_clock(child) and self.tells(child))
            for child in self.every(clock)
        )

    # Groups

    def group_of(self, node: Node) -> Node | None:
        """The group in which the state of a node is kept per key."""
        for above in self.above(node):
            stage = self.stage(above)
            if isinstance(stage, Group):
                return None if stage.leave else above
        return None

    def _slots(self) -> dict[Node, int]:
        slots: dict[Node, int] = {}
        for node in self.region.nodes:
            if isinstance(node, Put | Deliver):
                continue
            stage = self.stage(node)
            if isinstance(stage, Step) and stage.make is not None and self.group_of(node):
                slots[node] = 1 + 3 * len(slots)
        return slots
