"""``lookup``: each item with what is found under its key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, final, overload

from rivulet.core.callables import (
    Mode,
    Selector,
    check_callable,
    is_awaitable,
    maybe_async,
    mode_of,
    name_of,
    plain,
)
from rivulet.core.checks import check_choice, check_whole, plain_selector, unhashable
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, frozen
from rivulet.core.stage import Apply, Channel, Expand, Work
from rivulet.core.table import Table
from rivulet.errors import GraphError
from rivulet.joins.rows import check_key
from rivulet.ops.filter import Filter

if TYPE_CHECKING:
    from rivulet.stream import Stream

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")

Find = Callable[[Any], Any]


@final
class _Batch(list[Any]):
    """Items that are looked up together, with their times and what is found."""

    __slots__ = ("found", "stamps")

    def __init__(self, items: Iterable[Any], stamps: list[int | None]) -> None:
        super().__init__(items)
        self.stamps = stamps
        self.found: list[Any] = []


@frozen
class Lookup(Unary):
    """Node: each item with what is found under its key."""

    asked: Any
    key: Selector[Any]
    concurrency: int = 1
    batch: int | None = None
    ttl: Duration | None = None

    def stage(self) -> Apply | Channel:
        key = plain_selector(self.key, "lookup", "key")
        kept = None if self.ttl is None else _Kept(seconds(self.ttl, "lookup(ttl)"))
        find = finder(self.asked)
        if self.batch is not None:
            fn = _finding_many(find, key, kept)
        else:
            mode = mode_of(find) if is_function(self.asked) else "sync"
            fn = _finding(find, key, mode) if kept is None else _finding_once(find, key, kept)
        if self.concurrency == 1:
            return Apply(fn=fn)
        # One call for a key at a time, so that the next finds what it gave.
        by = key if kept is not None and self.batch is None else None
        return Channel(size=self.concurrency, work=Work(fn=fn, concurrency=self.concurrency, by=by))

    @property
    def label(self) -> str:
        """What is looked at by its name or its class: never all that it holds."""
        asked = self.asked
        shown = name_of(asked) if is_function(asked) else type(asked).__name__
        key = name_of(self.key) if callable(self.key) else repr(self.key)
        options = {"concurrency": self.concurrency, "batch": self.batch, "ttl": self.ttl}
        more = [f"{name}={value!r}" for name, value in options.items() if value not in (None, 1)]
        return f"lookup({', '.join([shown, key, *more])})"


@frozen
class Gather(Unary):
    """Node: the items that are there, so many at most, to be looked up together."""

    n: int

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="own", holds=True, timed=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        n = self.n
        items: list[Any] = []
        stamps: list[int | None] = []

        def call(item: Any, t: int | None) -> Iterable[tuple[_Batch, int | None]]:
            items.append(item)
            stamps.append(t)
            if len(items) == n:
                return flush()
            if len(items) == 1:
                # A timer fires when nothing more is there.
                context.wake_at(context.now())
            return ()

        def flush() -> Iterable[tuple[_Batch, int | None]]:
            if not items:
                return ()
            batch = _Batch(items, stamps.copy()), oldest()
            items.clear()
            stamps.clear()
            return (batch,)

        def oldest() -> int | None:
            return min((t for t in stamps if t is not None), default=None)

        def passes(watermark: int) -> int:
            least = oldest()
            return watermark if least is None else min(watermark, least)

        def restore(state: Any) -> None:
            items[:], stamps[:] = state
            if items:
                context.wake_at(context.now())

        return Logic(
            call=call,
            on_timer=lambda _: flush(),
            on_end=flush,
            passes=passes,
            snapshot=lambda: (items.copy(), stamps.copy()),
            restore=restore,
        )

    @property
    def name(self) -> str:
        return "gather"


@frozen
class Scatter(Unary):
    """Node: the items that were looked up together, one by one, with their own times."""

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="own")

    def make(self, _: Context) -> Logic:
        """Nothing is kept."""

        def call(batch: _Batch, _: int | None) -> Iterable[tuple[Any, int | None]]:
            return zip(zip(batch, batch.found, strict=True), batch.stamps, strict=True)

        return Logic(call=call, snapshot=lambda: None, restore=lambda _: None)


@final
class _Kept:
    """What was found not long ago.

    Args:
        ttl: for how many seconds it is used again.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._found: dict[Any, tuple[float, Any]] = {}

    def get(self, key: Any) -> tuple[float, Any] | None:
        """What was found and until when that holds.

        Raises:
            TypeError: it can't be a key.
        """
        try:
            found = self._found.get(key)
        except TypeError:
            raise unhashable(key) from None
        return found if found is not None and found[0] > _now() else None

    def put(self, key: Any, value: Any) -> Any:
        """Keep a value, drop what has had its time, and give the value."""
        now, found = _now(), self._found
        found.pop(key, None)
        found[key] = now + self._ttl, value
        # All have the same time to live, so the oldest come first.
        while (oldest := next(iter(found)), found[oldest][0])[1] <= now:
            del found[oldest]
        return value


def _now() -> float:
    return asyncio.get_running_loop().time()


def is_function(where: object) -> bool:
    """Whether it is called with a key; otherwise it has ``get``."""
    return not isinstance(where, Mapping | Table)


def finder(where: Any) -> Find:
    """The function that gives what is found under a key.

    Raises:
        GraphError: nothing can be looked up there.
    """
    if not is_function(where):
        return _getter(where.get)
    if not callable(where):
        raise GraphError(
            f"lookup needs a Cache, a dict or a function of the key, not {where!r:.100} "
            f"({type(where).__name__})"
        )
    check_callable(where, "lookup", "where")
    return where


def _getter(get: Find) -> Find:
    def find(key: Any) -> Any:
        try:
            hash(key)
        except TypeError:
            raise unhashable(key) from None
        return get(key)

    return find


def _finding(find: Find, key: Find, mode: Mode) -> Find:
    """A function that gives an item with what is found."""

    async def wait(item: Any, found: Awaitable[Any]) -> Any:
        return item, await found

    def call(item: Any) -> Any:
        found = find(key(item))
        return wait(item, found) if is_awaitable(found) else (item, found)

    async def awaited(item: Any) -> Any:
        return item, await find(key(item))

    def called(item: Any) -> Any:
        return item, find(key(item))

    match mode:
        case "async":
            return awaited
        case "sync":
            return called
        case _:
            find = plain(find)
            return maybe_async(call)


def _finding_once(find: Find, key: Find, kept: _Kept) -> Find:
    """The same, where what was found not long ago is used again."""
    find = plain(find)

    async def wait(item: Any, at: Any, found: Awaitable[Any]) -> Any:
        return item, kept.put(at, await found)

    def call(item: Any) -> Any:
        at = key(item)
        known = kept.get(at)
        if known is not None:
            return item, known[1]
        check_key(at)
        found = find(at)
        return wait(item, at, found) if is_awaitable(found) else (item, kept.put(at, found))

    return maybe_async(call)


def _finding_many(find: Find, key: Find, kept: _Kept | None) -> Find:
    """A function that looks up the items of a batch together."""
    find = plain(find)

    async def call(batch: _Batch) -> _Batch:
        places = [key(item) for item in batch]
        found: dict[Any, Any] = {}
        asked: list[Any] = []
        for place in places:
            try:
                if place in found:
                    continue
            except TypeError:
                raise unhashable(place) from None
            known = None if kept is None else kept.get(place)
            found[place] = None if known is None else known[1]
            if known is None:
                asked.append(place)
        if asked:
            given = find(asked)
            given = await given if is_awaitable(given) else given
            for place, value in _values(find, asked, given):
                found[place] = value if kept is None else kept.put(place, value)
        batch.found = [found[place] for place in places]
        return batch

    return call


def _values(find: Find, asked: list[Any], given: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(given, Mapping):
        values = cast("Mapping[Any, Any]", given)
        return [(place, values.get(place)) for place in asked]
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise TypeError(
            f"{name_of(find)} must give a dict, or a list in the order of the keys, and gave "
            f"{given!r:.100} ({type(cast('object', given)).__name__})"
        )
    found = cast("Sequence[Any]", given)
    if len(found) != len(asked):
        raise ValueError(
            f"{name_of(find)} was asked for {len(asked)} keys and gave a list of {len(found)}: it "
            f"must have one place for each key, None where nothing is found"
        )
    return zip(asked, found, strict=True)


def _is_found(pair: tuple[Any, Any]) -> bool:
    return pair[1] is not None


@overload
def lookup(
    source: Stream[T],
    where: Mapping[Any, V],
    key: Selector[T],
    /,
    *,
    how: Literal["left"] = "left",
) -> Stream[tuple[T, V | None]]: ...
@overload
def lookup(
    source: Stream[T],
    where: Mapping[Any, V],
    key: Selector[T],
    /,
    *,
    how: Literal["inner"],
) -> Stream[tuple[T, V]]: ...
@overload
def lookup(
    source: Stream[T],
    where: Table,
    key: Selector[T],
    /,
    *,
    how: Literal["left", "inner"] = "left",
) -> Stream[tuple[T, Any]]: ...
@overload
def lookup(
    source: Stream[T],
    where: Callable[
        [list[K]], Awaitable[Mapping[K, V] | Sequence[V]] | Mapping[K, V] | Sequence[V]
    ],
    key: Selector[T],
    /,
    *,
    how: Literal["left", "inner"] = "left",
    concurrency: int = 1,
    batch: int,
    ttl: Duration | None = None,
) -> Stream[tuple[T, V | None]]: ...
@overload
def lookup(
    source: Stream[T],
    where: Callable[[Any], Awaitable[V]],
    key: Selector[T],
    /,
    *,
    how: Literal["left", "inner"] = "left",
    concurrency: int = 1,
    batch: None = None,
    ttl: Duration | None = None,
) -> Stream[tuple[T, V]]: ...
@overload
def lookup(
    source: Stream[T],
    where: Callable[[Any], V],
    key: Selector[T],
    /,
    *,
    how: Literal["left", "inner"] = "left",
    concurrency: int = 1,
    batch: None = None,
    ttl: Duration | None = None,
) -> Stream[tuple[T, V]]: ...
def lookup(
    source: Stream[Any],
    where: Any,
    key: Selector[Any],
    /,
    *,
    how: Literal["left", "inner"] = "left",
    concurrency: int = 1,
    batch: int | None = None,
    ttl: Duration | None = None,
) -> Stream[Any]:
    """Give each item with what is found under its key: in a cache, or by asking a function.

    It is what is there now, whatever the time of the item. For what held at its time, use
    ``join_asof``.

    Emits:      ``(item, found)`` for each item, in order, with None where nothing is found; with
                ``how="inner"`` only those for which something is.
    Waits:      for the function before the next item is read; with ``concurrency=n``, for one of n.
    Completes:  when the source does and all calls have ended.
    State:      with ``ttl``, what was found in that time; with ``batch``, so many items.
    Time:       none; an item's time passes to its pair. Processing time for ``ttl``.

    Args:
        where: a ``Cache``, a dict or another mapping; or a function of the key, sync or async,
            that gives None where it finds nothing.
        key: takes the key: a plain function, a key or an attribute.
        how: ``"left"`` or ``"inner"``.
        concurrency: how many calls of the function may be under way at once.
        batch: call the function with a list of the keys of the items that are there, each once
            and so many items at most. Nothing is waited for to fill it. It gives a dict, or a list
            in the order of the keys.
        ttl: how long what was found, or that nothing was, is used again rather than asked for.

    Raises:
        GraphError: at build, if nothing can be looked up there, or an argument is wrong.
        TypeError: while running, if a key isn't hashable (for a function, only with ``ttl`` or
            ``batch``), or a batch gives neither a dict nor a list; the note names the item.
        ValueError: while running, if a batch gives a list of another length.

    Example:
        >>> names = {1: "ana", 2: "bo"}
        >>> await Stream.of(2, 3).lookup(names, lambda n: n).collect()
        [(2, 'bo'), (3, None)]
        >>> async def fetch(keys):
        ...     print("asked for", keys)
        ...     return [names.get(key) for key in keys]
        >>> await Stream.of(1, 3, 1).lookup(fetch, lambda n: n, batch=10, how="inner").collect()
        asked for [1, 3]
        [(1, 'ana'), (1, 'ana')]

    Source: lookup joins of Flink; ``enrich_cached`` of Bytewax.
    """
    check_choice(how, "lookup", "how", ("left", "inner"))
    check_whole(concurrency, "lookup", "concurrency")
    if batch is not None:
        check_whole(batch, "lookup", "batch")
    if not is_function(where):
        given = {"concurrency": concurrency > 1, "batch": batch, "ttl": ttl}
        for name, is_given in given.items():
            if is_given is not None and is_given is not False:
                raise GraphError(
                    f"lookup({name}=) is for a function: a {type(where).__name__} answers at once"
                )
    finder(where)
    node: Node = source.node if batch is None else Gather(source.node, batch)
    node = Lookup(node, where, key, concurrency, batch, ttl)
    node.stage()
    node = node if batch is None else Scatter(node)
    return source.via(node if how == "left" else Filter(node, _is_found))
