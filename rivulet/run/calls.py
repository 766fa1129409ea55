"""Whether the results of the user's functions are awaited: settled by the first one of each."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any, final

from rivulet.core.callables import Mode, is_awaitable, may_stray, name_of
from rivulet.errors import StrayAwaitableError
from rivulet.plan.writer import Shape

__all__ = ["Calls"]


@final
class Calls:
    """Settles the functions of one region.

    Args:
        shape: keeps what is known of each function, by its name in the code.
        names: the functions, by these names.
        changed: called when the code can be made more special.
    """

    def __init__(self, shape: Shape, names: Mapping[str, Any], changed: Callable[[], None]) -> None:
        self._shape = shape
        self._names = names
        self._changed = changed

    def settle(self, name: str, result: Any, *, checked: bool = False) -> bool:
        """Decide by a first result how all results are taken; tells whether to await this one.

        Args:
            name: the function, by its name in the code.
            result: what it gave first.
            checked: every later result is to be looked at, whatever the function.
        """
        mode = _mode(result)
        if mode is not None:
            self._shape.modes[name] = mode
            if mode == "sync" and (checked or may_stray(self._names[name])):
                self._shape.strays.add(name)
            self._changed()
        return mode == "mixed"

    def stray(self, value: Any, name: str | None = None) -> None:
        """An awaitable came where values were given so far.

        Raises:
            StrayAwaitableError: always.
        """
        close = getattr(value, "close", None)
        if close is not None:
            close()
        culprits = [name] if name is not None else sorted(self._shape.strays)
        functions = ", ".join(name_of(self._names[culprit]) for culprit in culprits)
        how = "iterated with async for" if hasattr(value, "__aiter__") else "awaited"
        raise StrayAwaitableError(
            f"{functions} gave plain values at first and now gave {name_of(value)}, which has to "
            f"be {how}: wrap the function in maybe_async(...), which looks at every result"
        )


def _mode(result: Any) -> Mode | None:
    """What a result tells; a falsy one tells nothing (``x and fetch(x)``)."""
    if is_awaitable(result):
        return "mixed"
    if isinstance(result, AsyncIterable):
        return "agen"
    return None if _is_falsy(result) else "sync"


def _is_falsy(value: Any) -> bool:
    try:
        return not value
    except Exception:  # noqa: BLE001  # an array has no truth value, and is no falsy one
        return False
