"""Windows that go by the order in which items come: of so many, or while a condition holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any

from rivulet.core.checks import unhashable
from rivulet.core.logic import Context, Logic
from rivulet.windows.folding import Folding
from rivulet.windows.window import Window

__all__ = ["counted", "while_holds"]

Result = tuple[Window[Any, Any], int | None]
_Timed = tuple[Any, int | None]


def counted(context: Context, n: int, every: int, how: Folding, *, tz: tzinfo) -> Logic:
    """The state of windows of the last ``n`` items, with a result after every so many.

    What is left at the end gives a last result.
    """
    by_key: dict[Any, tuple[deque[_Timed], list[int]]] = {}

    def call(item: Any, key: Any, t: int | None) -> Iterable[Result]:
        try:
            own = by_key.get(key)
        except TypeError:
            raise unhashable(key) from None
        if own is None:
            own = by_key[key] = (deque(maxlen=n), [0])
        items, since = own
        items.append((item, t))
        since[0] += 1
        if since[0] < every:
            return ()
        since[0] = 0
        given = (folded(key, items, how, tz=tz, final=True),)
        if every == n:
            items.clear()
        return given

    def on_end() -> Iterable[Result]:
        return [
            folded(key, items, how, tz=tz, final=not context.stopping)
            for key, (items, since) in by_key.items()
            if since[0]
        ]

    return Logic(
        call=call,
        on_end=on_end,
        passes=_held(lambda: (items for items, _ in by_key.values())),
        snapshot=lambda: [(key, list(items), since[0]) for key, (items, since) in by_key.items()],
        restore=lambda saved: _fill(
            by_key, {key: (deque(items, n), [since]) for key, items, since in saved}
        ),
    )


def while_holds(
    context: Context, predicate: Callable[[Any, Any], object], how: Folding, *, tz: tzinfo
) -> Logic:
    """The state of windows that last while ``predicate(previous item, item)`` holds."""
    by_key: dict[Any, list[_Timed]] = {}

    def call(item: Any, key: Any, t: int | None) -> Iterable[Result]:
        try:
            items = by_key.get(key)
        except TypeError:
            raise unhashable(key) from None
        if items is None:
            by_key[key] = [(item, t)]
            return ()
        if predicate(items[-1][0], item):
            items.append((item, t))
            return ()
        by_key[key] = [(item, t)]
        return (folded(key, items, how, tz=tz, final=True),)

    def on_end() -> Iterable[Result]:
        return [
            folded(key, items, how, tz=tz, final=not context.stopping)
            for key, items in by_key.items()
        ]

    return Logic(
        call=call,
        on_end=on_end,
        passes=_held(by_key.values),
        snapshot=lambda: [(key, list(items)) for key, items in by_key.items()],
        restore=lambda saved: _fill(by_key, {key: list(items) for key, items in saved}),
    )


def folded(key: Any, items: Iterable[_Timed], how: Folding, *, tz: tzinfo, final: bool) -> Result:
    """The result of some items."""
    kept = how.init()
    stamps: list[int] = []
    for place, (item, t) in enumerate(items):
        how.add(kept, item, place)
        if t is not None:
            stamps.append(t)
    value = how.result(kept)
    if not stamps:
        return Window(key, None, None, value, 0, final, tz), None
    return Window(key, min(stamps), max(stamps) + 1, value, 0, final, tz), max(stamps)


def _held(groups: Callable[[], Iterable[Iterable[_Timed]]]) -> Callable[[int], int]:
    def passes(watermark: int) -> int:
        # A window's stamp is its largest, so it can't be below that of any item in it.
        tops = [
            max((t for _, t in items if t is not None), default=watermark) for items in groups()
        ]
        return min([watermark, *tops])

    return passes


def _fill(into: dict[Any, Any], saved: dict[Any, Any]) -> None:
    into.clear()
    into.update(saved)
