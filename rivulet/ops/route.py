"""``route``: items to the first of several ways that wants them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable, name_of
from rivulet.core.node import Output, Unary, frozen
from rivulet.core.stage import Test
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")

REST = "rest"


@frozen
class Route(Unary):
    """Node: items that one way wants, and at its port ``no`` those for the ways after it."""

    way: str
    predicate: Callable[[Any], Any]

    def stage(self) -> Test:
        return Test(fn=self.predicate)

    def ports(self) -> tuple[str, ...]:
        return ("no",)

    @property
    def label(self) -> str:
        return f"route({self.way}={name_of(self.predicate)})"


def route(
    source: Stream[T], /, **ways: Callable[[T], Awaitable[object] | object]
) -> dict[str, Stream[T]]:
    """Split a stream: each item goes to the first way whose condition holds, or to ``rest``.

    For two ways, ``partition`` is shorter.

    Emits:      each item in one of the streams. Where several are used in one run, conditions are
                looked at once per item, in order, until one holds.
    Waits:      for an async predicate before the next item is read; the slowest output holds all.
    Completes:  all when the source does.
    State:      none.
    Time:       none; items keep their time.

    Args:
        ways: the condition of each way, by its name.

    Raises:
        GraphError: at build, if no way is given, one isn't callable, or one is called ``rest``.

    Example:
        >>> sizes = Stream(range(6)).route(small=lambda x: x < 2, large=lambda x: x > 3)
        >>> {name: await way.collect() for name, way in sizes.items()}
        {'small': [0, 1], 'large': [4, 5], 'rest': [2, 3]}

    Source: ``split().branch`` of Kafka Streams.
    """
    if not ways:
        raise GraphError("route needs at least one way, as in route(big=lambda x: x > 9)")
    if REST in ways:
        raise GraphError("route calls what no way wants 'rest': give that way another name")
    outputs: dict[str, Stream[T]] = {}
    others = source
    for name, predicate in ways.items():
        check_callable(predicate, "route", name)
        node = Route(others.node, name, predicate)
        outputs[name] = source.via(node)
        others = source.via(Output(node, "no"))
    outputs[REST] = others
    return outputs
