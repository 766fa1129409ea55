"""``switch_map``: the items of what a function gives for the newest item."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.callables import check_callable
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Channel, Work

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class SwitchMap(Unary):
    """Node: the items of what a function gives for the newest item."""

    fn: Callable[[Any], Any]

    def stage(self) -> Channel:
        return Channel(work=Work(fn=self.fn, concurrency=1, expand=True, newest=True))


@overload
def switch_map(
    source: Stream[T], fn: Callable[[T], Awaitable[Iterable[U] | AsyncIterable[U]]], /
) -> Stream[U]: ...
@overload
def switch_map(
    source: Stream[T], fn: Callable[[T], Iterable[U] | AsyncIterable[U]], /
) -> Stream[U]: ...
def switch_map(source: Stream[T], fn: Callable[[T], Any], /) -> Stream[Any]:
    """Give the items of ``fn(item)`` until the next item comes, then those of ``fn`` for that.

    For searches while one types, or to follow what was chosen last. What an older item has given
    before is not taken back.

    Emits:      the items of the newest result, as they come.
    Waits:      not for the result; a new item closes it.
    Completes:  when the source does and the last result has ended.
    State:      the result being read, up to 16 items ahead.
    Time:       none; an item's time passes to what it gives.

    Args:
        fn: gives an iterable, an async iterable, or an awaitable of one.

    Raises:
        GraphError: at build, if ``fn`` isn't callable.
        TypeError: while running, if what it gives can't be iterated.

    Example:
        >>> async def spell(word):
        ...     for letter in word:
        ...         yield letter
        ...         await asyncio.sleep(1)
        >>> words = Stream.timer(2.5).take(2).map(["abcdef", "xyz"].__getitem__)
        >>> await words.switch_map(spell).collect()
        ['a', 'b', 'c', 'x', 'y', 'z']

    Source: ``switch_map`` of ReactiveX.
    """
    check_callable(fn, "switch_map", "fn")
    return source.via(SwitchMap(source.node, fn))
