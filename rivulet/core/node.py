"""The nodes of a graph: frozen, lazy, shareable descriptions of operators."""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, cast, dataclass_transform

from rivulet.core.callables import name_of
from rivulet.core.stage import Combine, Port, Produce, Stage, Stamp, Step, Transform
from rivulet.core.text import shortened
from rivulet.errors import GraphError

__all__ = [
    "Binary",
    "Leaf",
    "Nary",
    "Node",
    "Output",
    "Unary",
    "ancestors",
    "frozen",
    "has_stamps",
    "is_endless",
    "parts",
    "require_stamps",
]

N = TypeVar("N")

_serial = itertools.count(1)
_PACKAGE = __name__.partition(".")[0] + "."


def _caller() -> str:
    """Where the user wrote the call that made a node."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        inside = module.startswith(_PACKAGE) and not module.startswith(_PACKAGE + "demo")
        if not inside and frame.f_code.co_filename != "<string>":
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def frozen(cls: type[N]) -> type[N]:
    """Make a class a node: a frozen dataclass, equal only to itself and shown by its label."""
    return dataclass(frozen=True, slots=True, eq=False, repr=False)(cls)


@frozen
class Node:
    """One operator with its arguments. Two nodes are never equal: a node used twice is shared.

    Attributes:
        serial: in which order nodes were made; branches run in this order.
        where: file and line of the call that made it.
        has_revisions: some of what it gives may be a ``Revision``.
    """

    serial: int = field(default_factory=_serial.__next__, init=False, repr=False)
    where: str = field(default_factory=_caller, init=False, repr=False)
    has_revisions: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        above = parts(self) if isinstance(self, Leaf) else self.inputs()
        corrected = any(node.has_revisions for node in above)
        if corrected and not self.applies():
            raise GraphError(
                f"{self.label} can't apply the corrections of a join with revise=True: put it "
                f"before the join, use wait= there, or have a sink take them, as in "
                f'.to(sink, revisions="new")'
            )
        if self.revises(corrected):
            object.__setattr__(self, "has_revisions", True)

    def applies(self) -> bool:
        """Whether it applies what it does to both sides of a ``Revision``."""
        return False

    def revises(self, corrected: bool) -> bool:
        """Whether some of what it gives may be a ``Revision``.

        Args:
            corrected: some of what comes in may be one.
        """
        return corrected

    def inputs(self) -> tuple[Node, ...]:
        """The nodes whose items come in."""
        return ()

    def stage(self) -> Stage:
        """What this operator does, as one of the closed set of stages."""
        raise TypeError(f"{type(self).__name__} must say what its stage is")

    def endless(self, inputs: Sequence[bool]) -> bool:
        """Whether it is known never to end, given whether each of its inputs is."""
        return any(inputs)

    def ports(self) -> tuple[str, ...]:
        """Its further outputs, beside the main one."""
        return ()

    @property
    def name(self) -> str:
        """The operator's name, as a method is called."""
        return _snake(type(self).__name__)

    @property
    def label(self) -> str:
        """The operator as it was written, such as ``map(parse, concurrency=8)``."""
        return f"{self.name}({', '.join(_arguments(self))})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


@frozen
class Leaf(Node):
    """A node without inputs."""


@frozen
class Unary(Node):
    """A node with one input."""

    up: Node

    def inputs(self) -> tuple[Node, ...]:
        return (self.up,)


@frozen
class Binary(Node):
    """A node with a main input and another."""

    up: Node
    other: Node

    def inputs(self) -> tuple[Node, ...]:
        return (self.up, self.other)


@frozen
class Nary(Node):
    """A node with any number of inputs."""

    ups: tuple[Node, ...]

    def inputs(self) -> tuple[Node, ...]:
        return self.ups


@frozen
class Output(Unary):
    """Another output of the operator above, such as its errors."""

    port: str

    def stage(self) -> Port:
        return Port(name=self.port)

    def applies(self) -> bool:
        return True

    def revises(self, corrected: bool) -> bool:
        return False

    @property
    def name(self) -> str:
        return self.port

    @property
    def label(self) -> str:
        return f".{self.port}"


@functools.cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.lstrip("_")).lower()


def _arguments(node: Node) -> Iterable[str]:
    own = [f for f in fields(node) if f.init and not isinstance(getattr(node, f.name), Node)]
    # Streams come first in what takes several, and everything else by its name.
    for position, spec in enumerate(own):
        if spec.name == "ups":
            continue
        value = getattr(node, spec.name)
        if _is_default(spec, value):
            continue
        text = _text(value)
        yield text if position == 0 else f"{spec.name}={text}"


def _is_default(spec: Field[Any], value: object) -> bool:
    return spec.default is not MISSING and (value is spec.default or value == spec.default)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(part) for part in cast("tuple[object, ...]", value))
    if isinstance(value, Node):
        return value.label
    if callable(value):
        return name_of(value)
    return shortened(value, 40)


def ancestors(*nodes: Node) -> list[Node]:
    """The nodes and all that they are made of, inputs before what they go into."""
    found: dict[Node, None] = {}
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(nodes)]
    while stack:
        node, seen = stack.pop()
        if seen:
            found[node] = None
        elif node not in found:
            stack.append((node, True))
            stack.extend((up, False) for up in reversed(node.inputs()))
    return list(found)


def parts(node: Node) -> tuple[Node, ...]:
    """What a node is made of: its inputs, and the graphs that it subscribes to by itself."""
    stage = node.stage()
    return (*node.inputs(), *(stage.nested if isinstance(stage, Produce) else ()))


def is_endless(node: Node) -> bool:
    """Whether a node is known never to end."""
    known: dict[Node, bool] = {}
    todo = [node]
    while todo:
        at = todo[-1]
        above = parts(at)
        if unknown := [part for part in above if part not in known]:
            todo.extend(unknown)
        else:
            known[at] = at.endless([known[part] for part in above])
            todo.pop()
    return known[node]


def has_stamps(node: Node) -> bool:
    """Whether the items of a node carry their time, if something asks for it."""
    try:
        require_stamps(node, "")
    except GraphError:
        return False
    return True


def require_stamps(node: Node, operator: str) -> None:
    """Check that the items of a node carry their time.

    Raises:
        GraphError: nothing above stamps them, or an opaque pipe between loses the stamps.
    """
    seen: set[Node] = set()
    stack = [node]
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        match at.stage():
            case Stamp():
                continue
            case Transform() | Step(stamps="lose"):
                raise GraphError(
                    f"{operator} needs the time of its items, which {at.label} doesn't give: "
                    f"put event_time(...) after it"
                )
            case Produce(nested=nested) if nested:
                stack.extend(nested)
            case Combine(silent=silent):
                stack.extend(up for i, up in enumerate(at.inputs()) if i not in silent)
            case Produce():
                raise GraphError(
                    f"{operator} needs the time of its items, and those of {at.label} have none: "
                    f"put event_time(...) between them"
                )
            case _:
                stack.extend(at.inputs())
