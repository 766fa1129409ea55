"""Checks of arguments, with errors that say what would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rivulet.core.callables import Selector, mode_of, selector
from rivulet.core.durations import Duration, seconds
from rivulet.errors import GraphError

__all__ = [
    "backoff_of",
    "check_choice",
    "check_types",
    "check_whole",
    "plain_selector",
    "unhashable",
]

E = TypeVar("E", bound=BaseException)

LONGEST_PAUSE = 60.0


def check_whole(value: object, operator: str, argument: str, *, least: int = 1) -> None:
    """Refuse what isn't a whole number of at least ``least``.

    Raises:
        GraphError: it isn't.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise GraphError(
            f"{operator}({argument}) must be a whole number of at least {least}, not {value!r}"
        )


def check_flag(value: object, operator: str, argument: str) -> None:
    """Refuse what is neither True nor False.

    Raises:
        GraphError: it isn't.
    """
    if not isinstance(value, bool):
        raise GraphError(f"{operator}({argument}) must be True or False, not {value!r}")


def check_choice(value: object, operator: str, argument: str, choices: tuple[str, ...]) -> None:
    """Refuse what isn't one of some words.

    Raises:
        GraphError: it isn't.
    """
    if value not in choices:
        words = ", ".join(repr(choice) for choice in choices)
        raise GraphError(f"{operator}({argument}) must be one of {words}, not {value!r}")


def check_types(types: type[E] | tuple[type[E], ...], operator: str) -> tuple[type[E], ...]:
    """The classes of errors, as a tuple.

    Raises:
        GraphError: one is no class of exceptions.
    """
    found = types if isinstance(types, tuple) else (types,)
    given: tuple[Any, ...] = found
    for cls in given:
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            raise GraphError(
                f"{operator}(types) must be an exception class or a tuple of them, not {cls!r}"
            )
    return found


def plain_selector(key: Selector[Any], operator: str, argument: str) -> Callable[[Any], Any]:
    """A selector that is called where nothing can be awaited.

    Raises:
        GraphError: it is no selector, or it is async.
    """
    if callable(key) and mode_of(key) == "async":
        raise GraphError(
            f"{operator}({argument}) must be a plain function: put .map(...) before it to await"
        )
    return selector(key, operator, argument)


def backoff_of(
    backoff: Duration | Callable[[int], float] | None, operator: str
) -> Callable[[int], float] | None:
    """The pause in seconds before a retry: a first pause that doubles, or the user's function.

    Raises:
        GraphError: it is neither a duration nor a plain function.
    """
    if backoff is None:
        return None
    if callable(backoff):
        if mode_of(backoff) == "async":
            raise GraphError(f"{operator}(backoff) must be a plain function: its result is a pause")
        return backoff
    first = seconds(backoff, f"{operator}(backoff)", zero=True)

    def pause(attempt: int) -> float:
        return min(LONGEST_PAUSE, first * 2 ** min(attempt - 1, 32))

    return pause


def unhashable(key: Any) -> TypeError:
    """What is wrong with a key that can't be one."""
    return TypeError(
        f"the key of an item must be hashable, and {key!r:.100} ({type(key).__name__}) isn't: "
        f"give a number, text, or a tuple of these"
    )
