"""``stream["field"]`` and ``stream[2:10:2]``: fields of items, and items by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from rivulet.core.callables import selector
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply, Test
from rivulet.errors import EmptyError, GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Field(Unary):
    """Node: one field of each item."""

    key: str

    def stage(self) -> Apply:
        return Apply(fn=selector(self.key, "stream[...]"))

    @property
    def label(self) -> str:
        return f"item[{self.key!r}]"


@frozen
class Slice(Unary):
    """Node: the items at some positions."""

    start: int
    stop: int | None
    step: int
    one: bool = False

    def stage(self) -> Test:
        return Test(make=self.make, ends=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        position = -1
        start, stop, step = self.start, self.stop, self.step
        last = None if stop is None else start + (stop - 1 - start) // step * step
        if last is not None and last < start:
            context.end()

        def call(_: Any) -> bool:
            nonlocal position
            position += 1
            if position < start or (last is not None and position > last):
                return False
            if position == last:
                context.end()
            return (position - start) % step == 0

        def on_end() -> Sequence[Any]:
            if self.one and position < start:
                raise EmptyError(f"there is no item {start}: the stream ended after {position + 1}")
            return ()

        def snapshot() -> int:
            return position

        def restore(state: int) -> None:
            nonlocal position
            position = state
            if last is not None and position >= last:
                context.end()

        return Logic(
            call=call,
            on_end=on_end if self.one else None,
            snapshot=snapshot,
            restore=restore,
        )

    def endless(self, inputs: Sequence[bool]) -> bool:
        return self.stop is None and any(inputs)

    @property
    def label(self) -> str:
        if self.one:
            return f"item[{self.start}]"
        step = None if self.step == 1 else self.step
        return f"item{_written(slice(self.start or None, self.stop, step))}"


@overload
def item(source: Stream[T], index: int | slice, /) -> Stream[T]: ...
@overload
def item(source: Stream[Any], index: str, /) -> Stream[Any]: ...
def item(source: Stream[Any], index: int | slice | str, /) -> Stream[Any]:
    """Take a field of each item by its name, or items by their position, as ``stream[...]``.

    Emits:      ``stream["name"]``: the value under that key, or the attribute of that name, of
                each item. ``stream[start:stop:step]``: the items at these positions.
                ``stream[n]``: the one item at this position.
    Waits:      never.
    Completes:  right after the last position, or when the source does.
    State:      the position.
    Time:       none; items keep their time.

    Args:
        index: a name, a slice of positions from 0, or a position.

    Raises:
        GraphError: at build, if a position is negative (use ``take_last``) or a step not positive.
        EmptyError: while running, if ``stream[n]`` ends before.

    Example:
        >>> await Stream.of({"x": 1}, {"x": 2})["x"].collect()
        [1, 2]
        >>> await Stream(range(100))[2:10:3].collect()
        [2, 5, 8]
        >>> await Stream("abc")[1]
        'b'

    Source: ``itertools.islice``; ``pluck`` of RxPY for fields.
    """
    match index:
        case str():
            return source.via(Field(source.node, index))
        case slice():
            start, stop, step = index.start or 0, index.stop, index.step or 1
            if isinstance(index.step, int) and index.step < 1:
                raise GraphError(f"a step must be 1 or more, not {index.step!r}")
            for number in (start, step, 0 if stop is None else stop):
                _check(number, index)
            return source.via(Slice(source.node, start, stop, step))
        case int():
            _check(index, index)
            return source.via(Slice(source.node, index, index + 1, 1, one=True))
        case _:
            raise GraphError(
                f"stream[...] takes a name, a position or a slice of positions, not {index!r}"
            )


def _check(number: object, index: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise GraphError(f"positions are whole numbers, not {number!r} in stream{_written(index)}")
    if number < 0:
        raise GraphError(
            f"a stream's end isn't known before it comes, so stream{_written(index)} can't count "
            f"from it: use take_last(n)"
        )


def _written(index: object) -> str:
    """An index as it is written."""
    if not isinstance(index, slice):
        return f"[{index!r}]"
    given = cast("slice[Any, Any, Any]", index)
    parts = ["" if part is None else repr(part) for part in (given.start, given.stop)]
    if given.step is not None:
        parts.append(repr(given.step))
    return f"[{':'.join(parts)}]"
