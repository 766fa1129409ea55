"""What is known of a callable: whether it gives awaitables, what to call it, how to select a field.

A function is looked at first and its first result second. ``async def`` is known by looking. So
are most builtins and classes, and functions whose code only computes: they can't give an awaitable.
All others are settled by the first result that isn't falsy (``x and fetch(x)`` gives a plain falsy
value first).
"""

from __future__ import annotations

import dis
import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast

from rivulet.core.text import shortened
from rivulet.errors import GraphError

__all__ = [
    "MaybeAsync",
    "Mode",
    "Selector",
    "check_callable",
    "is_awaitable",
    "may_stray",
    "maybe_async",
    "mode_of",
    "name_of",
    "plain",
    "selector",
]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

Selector = Callable[[T], Any] | str | int

Mode = Literal["sync", "async", "agen", "mixed", "unknown"]
"""How results are taken: as they are; awaited; iterated with ``async for``; looked at each time;
or not known before the first result."""

_BUILTIN_TYPES = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
_GIVE_WHAT_IS_KEPT = frozenset(
    ("__getitem__", "__next__", "call", "get", "getattr", "getitem", "next", "pop", "popleft")
)
"""Builtins whose results may be any object, an awaitable too."""


@dataclass(frozen=True, slots=True)
class MaybeAsync(Generic[P, R]):
    """A function that gives an awaitable on some calls and a plain value on others."""

    fn: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.fn(*args, **kwargs)


def maybe_async(fn: Callable[P, Awaitable[R] | R]) -> Callable[P, R]:
    """Mark a function that gives an awaitable on some calls and a plain value on others.

    rivulet settles whether to await a function when it sees its first result. A function that
    begins with plain values and turns to awaitables later, such as one with a cache, has to be
    marked: then each result is looked at, at a cost of a few hundredths of a microsecond.

    Example:
        >>> async def fetch(x):
        ...     return x * 10
        >>> known = {1: 10}
        >>> lookup = maybe_async(lambda x: known[x] if x in known else fetch(x))
        >>> await Stream.of(1, 2, 3).map(lookup).collect()
        [10, 20, 30]
    """
    check_callable(fn, "maybe_async", "fn")
    return cast("Callable[P, R]", MaybeAsync(fn))


def plain(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, without the mark."""
    return cast("MaybeAsync[..., Any]", fn).fn if isinstance(fn, MaybeAsync) else fn


def _unwrapped(fn: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(fn, functools.partial):
        fn = cast("functools.partial[Any]", fn).func
    return fn


def mode_of(fn: Callable[..., Any]) -> Mode:
    """What looking at the function tells."""
    if isinstance(fn, MaybeAsync):
        return "mixed"
    fn = _unwrapped(fn)
    call = getattr(type(fn), "__call__", None)  # noqa: B004  # the type's own, not the instance's
    for candidate in (fn, call):
        if inspect.iscoroutinefunction(candidate):
            return "async"
        if inspect.isasyncgenfunction(candidate):
            return "agen"
        if inspect.isgeneratorfunction(candidate):
            return "sync"
    return "sync" if _makes_plain(fn) or _only_computes(fn) else "unknown"


def may_stray(fn: Callable[..., Any]) -> bool:
    """Whether a function settled as plain could make an awaitable one day: its code calls."""
    if mode_of(fn) != "unknown":
        return False
    code = _code_of(fn)
    return code is None or any(name.startswith("CALL") for name in _operations(code))


def _makes_plain(fn: Callable[..., Any]) -> bool:
    """Whether it is a class or a builtin that makes no awaitables."""
    if isinstance(fn, type):
        return not hasattr(fn, "__await__") and not hasattr(fn, "__aiter__")
    return isinstance(fn, _BUILTIN_TYPES) and fn.__name__ not in _GIVE_WHAT_IS_KEPT


def _only_computes(fn: Callable[..., Any]) -> bool:
    """Whether the code only computes or gives constants: then no result can be an awaitable."""
    code = _code_of(fn)
    if code is None:
        return False
    found = _operations(code)
    return "RETURN OTHER" not in found or not any(name.startswith(_FETCHING) for name in found)


def _code_of(fn: Callable[..., Any]) -> types.CodeType | None:
    fn = getattr(fn, "__func__", fn)
    if not isinstance(fn, types.FunctionType) or hasattr(fn, "__wrapped__"):
        return None
    return fn.__code__


_FETCHING = ("CALL", "LOAD_ATTR", "LOAD_METHOD", "BINARY_SUBSCR", "RETURN LOAD")


@functools.lru_cache(1024)
def _operations(code: types.CodeType) -> frozenset[str]:
    """The operations of a function's code, and what it gives: constants, variables, or other."""
    found: set[str] = set()
    before = ""
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        subscript = name == "BINARY_OP" and instruction.argrepr == "[]"
        found.add("BINARY_SUBSCR" if subscript else name)
        if name == "RETURN_VALUE":
            constant = before == "LOAD_CONST" and not instruction.is_jump_target
            if not constant:
                found.add("RETURN OTHER")
            if before.startswith("LOAD_") and before != "LOAD_CONST":
                found.add("RETURN LOAD")
        before = name
    return frozenset(name for name in found if not name.startswith("CALL_INTRINSIC"))


def is_awaitable(value: object) -> bool:
    """Whether a result is to be awaited: a stream is iterated, though it can be awaited too."""
    return type(value) is types.CoroutineType or (
        inspect.isawaitable(value) and not hasattr(type(value), "__aiter__")
    )


def name_of(fn: object) -> str:
    """A short name of a callable, as its author would know it."""
    if isinstance(fn, MaybeAsync):
        return f"maybe_async({name_of(cast('MaybeAsync[..., Any]', fn).fn)})"
    if isinstance(fn, functools.partial):
        return f"partial({name_of(cast('functools.partial[Any]', fn).func)})"
    name = getattr(fn, "__qualname__", None) or getattr(fn, "__name__", None)
    if not isinstance(name, str):
        has_repr = type(fn).__repr__ is not object.__repr__
        return shortened(fn, 40) if has_repr else type(fn).__name__
    owner = getattr(fn, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType) and "." not in name:
        name = f"{type(owner).__name__}.{name}"
    return name.rpartition("<locals>.")[2]


def check_callable(fn: object, operator: str, argument: str) -> None:
    """Refuse what isn't callable.

    Raises:
        GraphError: it is a coroutine (a function was called where it was meant) or no callable.
    """
    if callable(fn):
        return
    if inspect.iscoroutine(fn):
        fn.close()
        raise GraphError(
            f"{operator}({argument}) needs a function, not the coroutine that calling "
            f"{fn.__qualname__}() gave: pass {fn.__qualname__} without calling it"
        )
    raise GraphError(f"{operator}({argument}) needs a function, not {fn!r}")


def selector(key: Selector[Any], operator: str, argument: str = "key") -> Callable[[Any], Any]:
    """A function that takes a field: a callable as it is, else a key or an attribute's name."""
    if isinstance(key, str):
        return _field(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return itemgetter(key)
    if not callable(key):
        raise GraphError(
            f"{operator}({argument}) needs a function, a key or an attribute's name, not {key!r}"
        )
    return key


def _field(name: str) -> Callable[[Any], Any]:
    attribute = attrgetter(name)
    mappings: dict[type, bool] = {dict: True}

    def field(item: Any) -> Any:
        cls = item.__class__
        is_mapping = mappings.get(cls)
        if is_mapping is None:
            is_mapping = mappings[cls] = issubclass(cls, Mapping)
        return item[name] if is_mapping else attribute(item)

    field.__qualname__ = repr(name)
    return field
