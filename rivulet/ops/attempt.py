"""``attempt``: failures as items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_types
from rivulet.core.entries import Failure
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Guard

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Attempt(Unary):
    """Node: items, and the failures of those that failed above."""

    types: tuple[type[BaseException], ...] = (Exception,)

    def stage(self) -> Guard:
        return Guard(types=self.types, inline=True)


def attempt(
    source: Stream[T], /, *, types: type[Exception] | tuple[type[Exception], ...] = Exception
) -> Stream[T | Failure[Any]]:
    """Give a ``Failure`` in place of an item on which an operator above failed.

    To keep failures apart from items, use ``on_error("skip").errors``.

    Emits:      each item, and in its place a ``Failure(item, error, operator)`` if it failed.
    Waits:      never.
    Completes:  when the source does.
    State:      none.
    Time:       a failure has the time of its item.

    Args:
        types: which errors; others end the run.

    Raises:
        GraphError: at build, if ``types`` are no exception classes.

    Example:
        >>> results = await Stream.of("1", "x").map(int).attempt().collect()
        >>> [r.error.args if isinstance(r, Failure) else r for r in results]
        [1, ("invalid literal for int() with base 10: 'x'",)]

    Source: ``attempt`` of fs2.
    """
    return source.via(Attempt(source.node, check_types(types, "attempt")))
