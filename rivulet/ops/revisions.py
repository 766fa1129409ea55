"""What operators do with a ``Revision``: the same to what was given before and to what is right."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from itertools import zip_longest
from typing import Any

from rivulet.core.callables import is_awaitable, maybe_async, plain
from rivulet.core.entries import GONE, Revision
from rivulet.core.iteration import each

__all__ = ["filtered", "flat_mapped", "mapped", "written"]

Function = Callable[[Any], Any]


async def _settled(result: Any) -> Any:
    return await result if is_awaitable(result) else result


def mapped(fn: Function) -> Function:
    """The function, applied to both sides of a revision."""
    fn = plain(fn)

    async def both(revision: Revision[Any]) -> Revision[Any]:
        old, new = await _settled(fn(revision.old)), revision.new
        return Revision(old, new if new is GONE else await _settled(fn(new)))

    def call(item: Any) -> Any:
        return both(item) if item.__class__ is Revision else fn(item)

    return maybe_async(call)


def filtered(predicate: Function) -> Function:
    """A function that gives what is left of an item: of a revision one side, both or none."""
    predicate = plain(predicate)

    async def call(item: Any) -> list[Any]:
        if item.__class__ is not Revision:
            return [item] if await _settled(predicate(item)) else []
        old = [item.old] if await _settled(predicate(item.old)) else []
        gone = item.new is GONE
        new = [item.new] if not gone and await _settled(predicate(item.new)) else []
        return _revised(old, new)

    return call


def flat_mapped(fn: Function) -> Function:
    """The function; of a revision, what it gives for one side takes the place of the other's."""
    fn = plain(fn)

    async def call(item: Any) -> AsyncGenerator[Any, None]:
        if item.__class__ is Revision:
            old = [x async for x in each(fn(item.old))]
            new = [] if item.new is GONE else [x async for x in each(fn(item.new))]
            for result in _revised(old, new):
                yield result
            return
        async with aclosing(each(fn(item))) as results:
            async for result in results:
                yield result

    return call


def _revised(old: list[Any], new: list[Any]) -> list[Any]:
    """Results in the place of others, one by one."""
    return [
        after if before is GONE else Revision(before, after)
        for before, after in zip_longest(old, new, fillvalue=GONE)
    ]


def written(write: Function) -> Function:
    """A function that writes what is right, and nothing where nothing is."""
    write = plain(write)

    def put(item: Any) -> Any:
        if item.__class__ is Revision:
            item = item.new
        return None if item is GONE else write(item)

    return put
