"""``group_by``: operators that keep their state per key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.callables import Selector, selector
from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Group

if TYPE_CHECKING:
    from rivulet.keyed import KeyedStream
    from rivulet.stream import Stream

K = TypeVar("K")
T = TypeVar("T")
U = TypeVar("U")
A = TypeVar("A")


@frozen
class GroupBy(Unary):
    """Node: from here on state is kept per key."""

    key: Selector[Any]
    max_keys: int | None = None
    idle: Duration | None = None

    def stage(self) -> Group:
        idle = None if self.idle is None else seconds(self.idle, "idle")
        return Group(key=selector(self.key, "group_by"), max_keys=self.max_keys, idle=idle)


@overload
def group_by(
    source: Stream[T],
    key: Callable[[T], Awaitable[K]],
    /,
    *,
    max_keys: int | None = None,
    idle: Duration | None = None,
) -> KeyedStream[K, T]: ...
@overload
def group_by(
    source: Stream[T],
    key: Callable[[T], K],
    /,
    *,
    max_keys: int | None = None,
    idle: Duration | None = None,
) -> KeyedStream[K, T]: ...
@overload
def group_by(
    source: Stream[T],
    key: str | int,
    /,
    *,
    max_keys: int | None = None,
    idle: Duration | None = None,
) -> KeyedStream[Any, T]: ...
def group_by(
    source: Stream[T],
    key: Any,
    /,
    *,
    max_keys: int | None = None,
    idle: Duration | None = None,
) -> KeyedStream[Any, T]:
    """Keep the state of the operators that follow per key, up to ``items()`` or ``values()``.

    ``pairwise`` then gives pairs of items of one key, ``scan`` a running value per key, ``take(1)``
    the first item of each key, ``count`` one number per key.

    Emits:      a ``KeyedStream``; ``.items()`` gives ``(key, result)``, ``.values()`` the results.
    Waits:      for an async key function before the next item is read.
    Completes:  when the source does: then each key gives what its operators still hold, in the
                order in which keys came.
    State:      that of the operators for every key; bounded by ``max_keys`` or ``idle``.
    Time:       processing time for ``idle``; items keep their own time.

    Args:
        key: gives the key of an item, hashable: a function, a key or an attribute.
        max_keys: when there are more keys, the one unused for longest gives what its operators
            hold and is forgotten.
        idle: so is a key that had no item for this long.

    Raises:
        GraphError: at build, if an argument is wrong.
        TypeError: while running, if a key isn't hashable.

    Example:
        >>> words = Stream.of("apple", "bean", "avocado", "beet")
        >>> await words.group_by(lambda word: word[0]).pairwise().items().collect()
        [('a', ('apple', 'avocado')), ('b', ('bean', 'beet'))]
        >>> await words.group_by(lambda word: word[0]).count().items().collect()
        [('a', 2), ('b', 2)]

    Source: keyed streams of Flink and Bytewax; ``max_keys`` evicts, where Pekko's
        ``groupBy`` fails.
    """
    selector(key, "group_by")
    if max_keys is not None:
        check_whole(max_keys, "group_by", "max_keys")
    if idle is not None:
        seconds(idle, "group_by(idle)")
    return source.keyed(GroupBy(source.node, key, max_keys, idle))
